/**
 * WebSocket and its like between the HTTP versions (RFC 8441): inside, such a request is what it is in HTTP/1.1, a GET
 * with Upgrade, and its answer a 101. Invariant: what filters see does not depend on the version.
 */
import type { Head } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';
import { sha1 } from '../sys/digest.ts';
import { connectUpgrade } from './upgrade-of.ts';
import type { UpstreamUser } from './upstream-request.ts';

/** RFC 6455 section 1.3. */
const webSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const key = 'sec-websocket-key';
const accept = 'sec-websocket-accept';

/** Turns an extended CONNECT into an upgrade: what the request asks for as upgradeOf would say it. */
export function asUpgrade(head: Head, random: () => number): string {
  if (head.method !== method.CONNECT) return '';
  if (head.protocolEnd === head.protocolStart) return connectUpgrade;
  const protocol = head.text(head.protocolStart, head.protocolEnd);
  head.method = method.GET;
  head.protocolEnd = head.protocolStart;
  head.add('connection', 'upgrade');
  head.add('upgrade', protocol);
  if (protocol.toLowerCase() === 'websocket' && head.findName(key) < 0) head.add(key, nonce(random));
  return protocol.toLowerCase();
}

/** HTTP/2 has no Sec-WebSocket-Key, and HTTP/1.1 servers ask for one; it is no secret. */
function nonce(random: () => number): string {
  return Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256))).toString('base64');
}

/** An upgrade, which only an upstream takes that says so; a CONNECT is one without a protocol. */
export const isExtendedConnect = (user: UpstreamUser): boolean =>
  user.wantsUpgrade && user.requestMethod !== method.CONNECT;

/** Runs send while an upgrade is an extended CONNECT, which its head stays only as long as that. */
export function sendAsConnect(head: Head, send: () => void): void {
  const before = head.method;
  const at = head.find(token.upgrade);
  head.method = method.CONNECT;
  if (at >= 0) {
    const [start, end] = head.valueRange(at);
    head.protocolStart = start;
    head.protocolEnd = end;
  }
  send();
  head.method = before;
  head.protocolEnd = head.protocolStart;
}

/** Turns the 200 to an extended CONNECT into the 101 that an upgrade gets; request is what was sent. */
export function asSwitching(head: Head, request: Head): void {
  const protocol = request.get('upgrade') ?? '';
  head.status = 101;
  head.add('connection', 'upgrade');
  head.add('upgrade', protocol);
  head.connectionUpgrade = true;
  const nonceSent = request.get(key);
  if (protocol.toLowerCase() !== 'websocket' || nonceSent === null || head.findName(accept) >= 0) return;
  head.add(accept, sha1(Buffer.from(`${nonceSent}${webSocketGuid}`, 'latin1')).toString('base64'));
}
