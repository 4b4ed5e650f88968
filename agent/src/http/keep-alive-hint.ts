/**
 * How long an upstream says that it keeps an idle connection: `Keep-Alive: timeout=SECONDS` (RFC 2068 section 19.7.1.1),
 * which Node and others send. A request sent as the upstream closes is lost when it must not be repeated; so we stop
 * using a connection well before.
 */
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';

const marginMs = 1000;

/** Milliseconds that the connection may lie idle and be used again; infinite when the upstream does not say. */
export function usableIdleMs(head: Head): number {
  if (!head.has(token['keep-alive'])) return Number.POSITIVE_INFINITY;
  const seconds = /(?:^|[\s,;])timeout\s*=\s*"?(\d{1,9})/i.exec(head.get('keep-alive') ?? '')?.[1];
  if (seconds === undefined) return Number.POSITIVE_INFINITY;
  const ms = Number(seconds) * 1000;
  return ms - Math.min(marginMs, ms / 2);
}
