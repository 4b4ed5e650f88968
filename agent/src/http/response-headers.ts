/** What the connection manager does to an upstream's response head before it goes to the client, in Envoy's order. */
import { type Head, type StaticHeader, staticHeader } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import { appendVia } from './forwarding-headers.ts';
import { applyEdits, type HeaderEdits } from './header-mutations.ts';
import type { Manager } from './manager.ts';
import type { LogRecord } from './request-view.ts';

const hopByHop = [
  token.connection,
  token['keep-alive'],
  token['proxy-connection'],
  token['transfer-encoding'],
  token.upgrade,
  token.te,
] as const;
const hopLow = hopByHop.reduce((mask: number, t) => mask | (1 << t), 0);

const connectionKeepAlive = staticHeader('connection', 'keep-alive');
const connectionClose = staticHeader('connection', 'close');
const emptyBody = staticHeader('content-length', '0');
const transferChunked = staticHeader('transfer-encoding', 'chunked');

const ownWords: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade', 'te']);

/** Headers of the upstream's connection only. upgrade keeps the two that a 101 needs. */
export function dropHopByHop(head: Head, upgrade: boolean): void {
  if ((head.seenLow & hopLow) === 0) return;
  if (head.connectionNames) dropNamed(head);
  head.removeLow(upgrade ? hopLow & ~((1 << token.upgrade) | (1 << token.connection)) : hopLow);
  if (upgrade) head.set('connection', 'upgrade');
}

function dropNamed(head: Head): void {
  for (const list of head.getAll('connection')) {
    for (const [word] of list.toLowerCase().matchAll(/[^\s,]+/g)) {
      if (!ownWords.has(word) && word !== 'content-length') head.removeName(word);
    }
  }
}

/**
 * Everything up to `server`; framing and Connection come after it. serviceTime: null for a request that is not complete;
 * attempts: for x-envoy-attempt-count, 0 for none.
 */
export function settleResponse(
  head: Head,
  manager: Manager,
  serviceTime: StaticHeader | null,
  attempts: number,
  edits: readonly HeaderEdits[] | null,
  record: LogRecord,
): void {
  const { spec } = manager;
  if (!spec.suppressEnvoyHeaders && serviceTime !== null) {
    head.setLine(serviceTime);
  }
  if (attempts > 0) head.set('x-envoy-attempt-count', String(attempts));
  if (edits !== null) applyEdits(edits, head, record);
  if (!head.has(token.date)) head.addStatic(manager.shared.date());
  settleServer(head, manager);
  if (spec.alwaysSetRequestIdInResponse) addRequestId(head, record);
  if (manager.via !== '') appendVia(head, manager.via);
}

function addRequestId(head: Head, record: LogRecord): void {
  const id = record.request?.header('x-request-id') ?? null;
  if (id !== null) head.set('x-request-id', id);
}

function settleServer(head: Head, manager: Manager): void {
  const { serverHeader } = manager.spec;
  if (serverHeader === 'pass_through') return;
  if (serverHeader === 'overwrite') head.setLine(manager.server);
  else if (head.find(token.server) < 0) head.addStatic(manager.server);
}

export function addConnectionClose(head: Head): void {
  head.addStatic(connectionClose);
}

/** An HTTP/1.0 client takes a connection for closed unless it is told (RFC 9112 appendix C.2.2). */
export function addKeepAlive(head: Head): void {
  head.addStatic(connectionKeepAlive);
}

export function addChunked(head: Head): void {
  head.addStatic(transferChunked);
}

export function addEmptyBody(head: Head): void {
  head.addStatic(emptyBody);
}
