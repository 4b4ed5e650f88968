/** RetryPolicy. A condition that is not implemented is refused: a retry that silently never comes is an outage. */
import type {
  HeaderMatcher,
  RetryPolicy,
  RetryPolicy_RetryHostPredicate,
} from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { PreviousHostsPredicate } from '@chainmail/xds/proto/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts';
import { retryConditions } from '../http/retry-policy.ts';
import type { RetryCondition, RetrySpec } from '../model/http.ts';
import { extension, type MessageReader } from './message-reader.ts';
import { readHeaderMatch } from './string-match.ts';

const defaultBackoffBaseMs = 25;

export function readRetryPolicy(r: MessageReader<RetryPolicy>): RetrySpec {
  r.each('retryHostPredicate', readHostPredicate);
  const backoff = r.inside('retryBackOff', (b) => {
    const baseMs = b.durationMs('baseInterval') ?? defaultBackoffBaseMs;
    return { baseMs, maxMs: b.durationMs('maxInterval') ?? baseMs * 10 };
  });
  return {
    on: retryOn(r),
    retriableStatusCodes: r.take('retriableStatusCodes'),
    numRetries: r.take('numRetries') ?? 1,
    perTryTimeoutMs: r.durationMs('perTryTimeout') ?? 0,
    backoffBaseMs: backoff?.baseMs ?? defaultBackoffBaseMs,
    backoffMaxMs: backoff?.maxMs ?? defaultBackoffBaseMs * 10,
    retriableHeaders: r.each('retriableHeaders', readHeaderMatch),
    retriableMethods: r.each('retriableRequestHeaders', readMethod),
  };
}

function retryOn(r: MessageReader<RetryPolicy>): readonly RetryCondition[] {
  const words = r
    .take('retryOn')
    .split(',')
    .map((w) => w.trim())
    .filter((w) => w !== '');
  return words.map((word) => {
    const known = retryConditions.find((c) => c === word);
    if (known === undefined)
      throw r.unsupported('retryOn', `'${word}' is not implemented (${retryConditions.join(', ')} are)`);
    return known;
  });
}

/** Hosts that were tried are always left out while others are there, which is what previous_hosts asks for. */
function readHostPredicate(r: MessageReader<RetryPolicy_RetryHostPredicate>): void {
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  r.extension('typedConfig', config.value, [
    extension<PreviousHostsPredicate, void>(
      'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
      () => undefined,
    ),
  ]);
}

/** Only a list of methods is implemented, as exact matches of `:method`. */
function readMethod(r: MessageReader<HeaderMatcher>): string {
  const { name, match, invert } = readHeaderMatch(r);
  if (name !== ':method' || invert || match.kind !== 'string' || match.value.kind !== 'exact') {
    throw r.unsupported('', 'only an exact match of :method is implemented');
  }
  return match.value.value;
}
