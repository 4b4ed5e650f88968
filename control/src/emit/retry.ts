/**
 * Retries. By default two, on another endpoint: for every method when the connection failed, the stream was refused
 * or nothing of the request had left; for idempotent methods (RFC 9110 section 9.2.2) also when the connection was
 * lost before any response came, which is what an upstream's idle close looks like.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RetryPolicySchema } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import { PreviousHostsPredicateSchema } from '@chainmail/xds/proto/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts';
import type { RetrySettings } from '../translate/traffic-settings.ts';
import { duration, pack } from './any.ts';

type RetryPolicy = MessageInitShape<typeof RetryPolicySchema>;

export const idempotentMethods = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'];

const otherHost = {
  retryHostPredicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      configType: { case: 'typedConfig' as const, value: pack(PreviousHostsPredicateSchema) },
    },
  ],
  hostSelectionRetryMaxAttempts: 5n,
};

const byDefault = (lostConnection: string): RetrySettings => ({
  on: ['connect-failure', 'refused-stream', lostConnection],
  count: 2,
  statusCodes: [],
  perTryTimeoutMs: undefined,
  backOffMs: undefined,
});

export const defaultRetry = {
  idempotent: byDefault('reset'),
  any: byDefault('reset-before-request'),
} as const;

export function retryPolicy(settings: RetrySettings, perTryTimeoutMs: number | undefined): RetryPolicy {
  const { backOffMs } = settings;
  return {
    retryOn: settings.on.join(','),
    numRetries: settings.count,
    ...otherHost,
    retriableStatusCodes: [...settings.statusCodes],
    ...(perTryTimeoutMs === undefined ? {} : { perTryTimeout: duration(perTryTimeoutMs) }),
    ...(backOffMs === undefined
      ? {}
      : {
          retryBackOff: {
            baseInterval: duration(backOffMs.base),
            ...(backOffMs.max === undefined ? {} : { maxInterval: duration(backOffMs.max) }),
          },
        }),
  };
}
