/** Whether a failed attempt may be made again, and when: pure decisions over a RetrySpec. */
import type { RetryCondition, RetrySpec } from '../model/http.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

/** Everything that a policy, or an internal caller, may ask for. */
export const retryConditions: readonly RetryCondition[] = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];

/** Methods a proxy may send again by itself when nothing was answered (RFC 9110 section 9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export function isIdempotent(method: string): boolean {
  return idempotent.has(method);
}

/** An empty list of methods means every method, as in Envoy. */
export function methodMayRetry(spec: RetrySpec, method: string): boolean {
  return spec.retriableMethods.length === 0 || spec.retriableMethods.includes(method);
}

export function retriesStatus(spec: RetrySpec, status: number): boolean {
  return spec.on.some((condition) => {
    switch (condition) {
      case '5xx':
        return status >= 500 && status < 600;
      case 'gateway-error':
        return status >= 502 && status <= 504;
      case 'retriable-4xx':
        return status === 409;
      case 'retriable-status-codes':
        return spec.retriableStatusCodes.includes(status);
      default:
        return false;
    }
  });
}

const failureConditions: Readonly<Record<UpstreamFailure, readonly RetryCondition[]>> = {
  'connect-failed': ['5xx', 'gateway-error', 'connect-failure', 'reset', 'reset-before-request'],
  'connect-timeout': ['5xx', 'gateway-error', 'connect-failure', 'reset', 'reset-before-request'],
  'connection-termination': ['5xx', 'gateway-error', 'reset'],
  unread: ['5xx', 'gateway-error', 'reset', 'reset-before-request'],
  'remote-reset': ['5xx', 'gateway-error', 'reset'],
  'refused-stream': ['5xx', 'gateway-error', 'reset', 'refused-stream'],
  'connect-error': ['5xx', 'gateway-error', 'reset'],
  'protocol-error': ['5xx', 'gateway-error', 'reset'],
  'per-try-timeout': ['5xx', 'gateway-error', 'reset'],
  // Sending more to a cluster that is over its limits makes it worse.
  overflow: [],
};

export function retriesFailure(spec: RetrySpec, failure: UpstreamFailure): boolean {
  return failureConditions[failure].some((condition) => spec.on.includes(condition));
}

/** Fully jittered exponential back-off: random in [0, min(base * (2^n - 1), max)) before retry n (from 1). */
export function backoffMs(spec: RetrySpec, retry: number, random: () => number): number {
  const ceiling = Math.min(spec.backoffBaseMs * (2 ** retry - 1), spec.backoffMaxMs);
  return Math.floor(random() * ceiling);
}
