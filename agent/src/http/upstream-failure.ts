/** Why an attempt at an upstream failed: the one table of Envoy's reset reasons, flags and texts. */
import type { Outcome } from '../cluster/cluster.ts';
import type { CloseReason } from '../net/stream.ts';

export type UpstreamFailure =
  | 'connect-failed'
  | 'connect-timeout'
  | 'connection-termination'
  /** The same, and the upstream had closed the connection before a byte of the request came. */
  | 'unread'
  | 'protocol-error'
  /** The stream was cut, the connection goes on. */
  | 'remote-reset'
  | 'refused-stream'
  | 'connect-error'
  | 'overflow'
  | 'per-try-timeout';

export interface FailureFacts {
  readonly flag: 'UF' | 'UC' | 'UR' | 'UPE' | 'UO' | 'UT';
  readonly status: 502 | 503 | 504;
  /** What stands behind `reset reason: `. */
  readonly reason: string;
  /** What outlier detection hears, or null when no host is to blame. */
  readonly outcome: Outcome | null;
}

export const upstreamFailures: Readonly<Record<UpstreamFailure, FailureFacts>> = {
  'connect-failed': {
    flag: 'UF',
    status: 503,
    reason: 'remote connection failure',
    outcome: { kind: 'local', cause: 'connect-failed' },
  },
  'connect-timeout': {
    flag: 'UF',
    status: 503,
    reason: 'connection timeout',
    outcome: { kind: 'local', cause: 'connect-timeout' },
  },
  'connection-termination': {
    flag: 'UC',
    status: 503,
    reason: 'connection termination',
    outcome: { kind: 'local', cause: 'reset' },
  },
  unread: { flag: 'UC', status: 503, reason: 'connection termination', outcome: { kind: 'local', cause: 'reset' } },
  'protocol-error': { flag: 'UPE', status: 502, reason: 'protocol error', outcome: { kind: 'local', cause: 'reset' } },
  'remote-reset': { flag: 'UR', status: 503, reason: 'remote reset', outcome: { kind: 'local', cause: 'reset' } },
  'refused-stream': {
    flag: 'UR',
    status: 503,
    reason: 'remote refused stream reset',
    outcome: { kind: 'local', cause: 'reset' },
  },
  'connect-error': {
    flag: 'UR',
    status: 503,
    reason: 'remote error with CONNECT request',
    outcome: { kind: 'local', cause: 'reset' },
  },
  overflow: { flag: 'UO', status: 503, reason: 'overflow', outcome: null },
  'per-try-timeout': { flag: 'UT', status: 504, reason: '', outcome: { kind: 'local', cause: 'timeout' } },
};

/** The failure that a stream's end means while the connection was being made. */
export function connectFailureOf(reason: CloseReason): UpstreamFailure {
  return reason === 'connect-timeout' ? 'connect-timeout' : 'connect-failed';
}

/** The body of the answer when no attempt is left. */
export function failureBody(failure: UpstreamFailure, retried: boolean): string {
  if (failure === 'per-try-timeout') return 'upstream request timeout';
  const { reason } = upstreamFailures[failure];
  const before = 'upstream connect error or disconnect/reset before headers.';
  return retried ? `${before} retried and the latest reset reason: ${reason}` : `${before} reset reason: ${reason}`;
}

/** %RESPONSE_CODE_DETAILS%; transport is what the stream says about a connect failure. */
export function failureDetails(failure: UpstreamFailure, responseStarted: boolean, transport: string): string {
  if (failure === 'per-try-timeout') return 'upstream_per_try_timeout';
  const when = responseStarted ? 'after' : 'before';
  const text = transport === '' ? '' : `|${transport}`;
  return `upstream_reset_${when}_response_started{${`${upstreamFailures[failure].reason}${text}`.replace(/\s/g, '_')}}`;
}
