/**
 * What an internal caller asks of the router by x-envoy headers: timeouts and retries of this one request. They take
 * effect over the route's own and are not passed on.
 */
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import type { RetryCondition, RetrySpec, RouteActionSpec } from '../model/http.ts';
import { type CompiledRoute, expectedTimeoutOf } from './compiled-route.ts';
import { compileAnswerMatch } from './retry-answer.ts';
import { retryConditions } from './retry-policy.ts';

interface Wished {
  readonly route: CompiledRoute;
  readonly action: RouteActionSpec;
}

const wishes = [
  token['x-envoy-upstream-rq-timeout-ms'],
  token['x-envoy-upstream-rq-per-try-timeout-ms'],
  token['x-envoy-retry-on'],
  token['x-envoy-retry-grpc-on'],
  token['x-envoy-max-retries'],
  token['x-envoy-retriable-status-codes'],
] as const;

/** The route as this caller wants it, or null when it asks for nothing. */
export function takeWishes(head: Head, route: CompiledRoute, action: RouteActionSpec): Wished | null {
  if (!wishes.some((t) => head.find(t) >= 0)) return null;
  const timeoutMs = numberOf(head, 'x-envoy-upstream-rq-timeout-ms') ?? action.timeoutMs;
  const retry = wishedRetry(head, route.retry);
  for (const t of wishes) head.remove(t);
  const wished = { ...action, timeoutMs, retry };
  return {
    action: wished,
    route: {
      ...route,
      retry,
      retryAnswer: compileAnswerMatch(retry),
      expectedTimeout: expectedTimeoutOf(wished, retry),
    },
  };
}

const none: RetrySpec = {
  on: [],
  retriableStatusCodes: [],
  numRetries: 1,
  perTryTimeoutMs: 0,
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  retriableMethods: [],
};

function wishedRetry(head: Head, own: RetrySpec | null): RetrySpec | null {
  const words = ['x-envoy-retry-on', 'x-envoy-retry-grpc-on'].flatMap((name) => wordsOf(head, name));
  const perTryTimeoutMs = numberOf(head, 'x-envoy-upstream-rq-per-try-timeout-ms');
  const numRetries = numberOf(head, 'x-envoy-max-retries');
  const codes = wordsOf(head, 'x-envoy-retriable-status-codes').map(Number).filter(Number.isInteger);
  if (own === null && words.length === 0 && perTryTimeoutMs === null) return null;
  const base = own ?? none;
  const asked = words.filter((word): word is RetryCondition => (retryConditions as readonly string[]).includes(word));
  return {
    ...base,
    on: [...new Set([...base.on, ...asked])],
    retriableStatusCodes: [...base.retriableStatusCodes, ...codes],
    numRetries: numRetries ?? base.numRetries,
    perTryTimeoutMs: perTryTimeoutMs ?? base.perTryTimeoutMs,
  };
}

function wordsOf(head: Head, name: string): readonly string[] {
  return head
    .getAll(name)
    .flatMap((value) => value.split(','))
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function numberOf(head: Head, name: string): number | null {
  const text = head.get(name) ?? '';
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : null;
}
