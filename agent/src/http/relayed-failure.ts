/**
 * What the agent before an application tells the agent of its caller: that its 502 or 503 is not the application's, and
 * what happened instead. So the caller's retry policy sees through both agents: a refused connection may be tried
 * elsewhere whatever the method. Invariant: it is said to, and believed of, authenticated peers only.
 */
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

const header = 'x-chainmail-upstream-failure';
const relayed = [
  'connect-failed',
  'connect-timeout',
  'connection-termination',
  'unread',
  'protocol-error',
  'remote-reset',
  'refused-stream',
] as const;

type Headers = readonly (readonly [name: string, value: string])[];

const headers: ReadonlyMap<UpstreamFailure, Headers> = new Map(relayed.map((f) => [f, [[header, f]]]));
const failures: ReadonlyMap<string, UpstreamFailure> = new Map(relayed.map((f) => [f, f]));
const none: Headers = [];

/** The headers with which a failure is told to the peer; none for those that are not about the hop to the application. */
export function relayHeaders(failure: UpstreamFailure): Headers {
  return headers.get(failure) ?? none;
}

/** Takes the header off an answer: what the peer's agent says, or null when nobody who may say it does. */
export function takeRelayedFailure(head: Head, peerPrincipal: string): UpstreamFailure | null {
  if (!head.has(token[header])) return null;
  const said = head.get(header) ?? '';
  head.remove(token[header]);
  return peerPrincipal === '' ? null : (failures.get(said) ?? null);
}
