/**
 * The PROXY protocol's header (haproxy's proxy-protocol.txt), versions 1 and 2, read and written. Reads the bytes from
 * their start each time, so any split into packets gives the same answer.
 * Invariant: 'more' only while the bytes so far can still become a header within the limits.
 */
import { ipBytes } from '../sys/ip-text.ts';
import { ipText, type SocketAddress } from '../sys/sockaddr.ts';

export type ProxyVersion = 'v1' | 'v2';

export type ProxyHeaderResult =
  | { readonly kind: 'more' }
  /** These bytes do not begin a header. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'bad'; readonly version: ProxyVersion; readonly reason: string }
  | {
      readonly kind: 'header';
      readonly version: ProxyVersion;
      /** Bytes of the header, all of which are to be thrown away. */
      readonly length: number;
      /** null: the sender speaks for itself (LOCAL, UNKNOWN), and the socket's own addresses hold. */
      readonly addresses: ProxiedAddresses | null;
    };

export interface ProxiedAddresses {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
}

/** The longest first line, with its CRLF. */
const maxV1Bytes = 107;
const v2HeadBytes = 16;
export const maxProxyHeaderBytes: number = v2HeadBytes + 65_535;

const v1Start = Buffer.from('PROXY ');
const v2Start = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

const more: ProxyHeaderResult = { kind: 'more' };
const absent: ProxyHeaderResult = { kind: 'absent' };

/** Whether the bytes begin with all of `start`, or as far as they go. */
function begins(bytes: Uint8Array, start: Uint8Array): 'yes' | 'so-far' | 'no' {
  const length = Math.min(bytes.length, start.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== start[i]) return 'no';
  return bytes.length >= start.length ? 'yes' : 'so-far';
}

/** Looks at the first bytes of a connection. */
export function inspectProxyHeader(bytes: Uint8Array): ProxyHeaderResult {
  const v1 = begins(bytes, v1Start);
  if (v1 === 'yes') return readV1(bytes);
  const v2 = begins(bytes, v2Start);
  if (v2 === 'yes') return readV2(bytes);
  return v1 === 'no' && v2 === 'no' ? absent : more;
}

function bad(version: ProxyVersion, reason: string): ProxyHeaderResult {
  return { kind: 'bad', version, reason };
}

function readV1(bytes: Uint8Array): ProxyHeaderResult {
  const head = bytes.subarray(0, maxV1Bytes);
  const end = head.indexOf(0x0d);
  const lf = head.indexOf(0x0a);
  if (lf >= 0 && (end < 0 || lf < end)) return bad('v1', 'no CRLF');
  if (end < 0) return head.length < maxV1Bytes ? more : bad('v1', 'too long');
  if (end + 1 >= maxV1Bytes) return bad('v1', 'too long');
  if (end + 1 >= bytes.length) return more;
  if (bytes[end + 1] !== 0x0a) return bad('v1', 'no CRLF');
  const [, family = '', ...rest] = Buffer.from(head.subarray(0, end)).toString('latin1').split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { kind: 'header', version: 'v1', length, addresses: null };
  const size = family === 'TCP4' ? 4 : family === 'TCP6' ? 16 : 0;
  const [from = '', to = '', fromPort = '', toPort = ''] = rest;
  const [source, target] = [ipBytes(from), ipBytes(to)];
  if (rest.length !== 4 || source?.length !== size || target?.length !== size) return bad('v1', 'bad addresses');
  const ports = [readPort(fromPort), readPort(toPort)] as const;
  if (ports[0] === null || ports[1] === null) return bad('v1', 'bad port');
  // Zones (`fe80::1%eth0`) mean nothing on another machine.
  const remote = { ip: ipText(source), port: ports[0] };
  return {
    kind: 'header',
    version: 'v1',
    length,
    addresses: { remote, local: { ip: ipText(target), port: ports[1] } },
  };
}

function readPort(text: string): number | null {
  if (!/^[0-9]{1,5}$/.test(text)) return null;
  const port = Number(text);
  return port <= 65_535 ? port : null;
}

/** Version and command in one byte. */
const commands = { local: 0x20, proxy: 0x21 } as const;

function readV2(bytes: Uint8Array): ProxyHeaderResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const command = bytes.length > 12 ? view.getUint8(12) : commands.local;
  if (command !== commands.local && command !== commands.proxy) return bad('v2', 'unknown version or command');
  if (bytes.length < v2HeadBytes) return more;
  const length = v2HeadBytes + view.getUint16(14);
  const size = command === commands.local ? 0 : addressBytes(view.getUint8(13));
  if (size === null) return bad('v2', 'unknown address family or transport');
  if (length < v2HeadBytes + 2 * size) return bad('v2', 'too short for its addresses');
  if (bytes.length < length) return more;
  return { kind: 'header', version: 'v2', length, addresses: size === 0 ? null : addressesOf(view, size) };
}

/** Bytes of address and port of one side: TCP or UDP over IPv4 and IPv6; other families are refused, as in Envoy. */
function addressBytes(family: number): 6 | 18 | null {
  if (family === 0x11 || family === 0x12) return 6;
  return family === 0x21 || family === 0x22 ? 18 : null;
}

function addressesOf(view: DataView, size: 6 | 18): ProxiedAddresses {
  const length = size - 2;
  const ip = (at: number): string => ipText(new Uint8Array(view.buffer, view.byteOffset + at, length).slice());
  const from = v2HeadBytes;
  const ports = from + 2 * length;
  return {
    remote: { ip: ip(from), port: view.getUint16(ports) },
    local: { ip: ip(from + length), port: view.getUint16(ports + 2) },
  };
}

/** The header that tells an upstream about a client; addresses of different families cannot be told and are left out. */
export function writeProxyHeader(version: ProxyVersion, { remote, local }: ProxiedAddresses): Buffer {
  const [from, to] = [ipBytes(remote.ip), ipBytes(local.ip)];
  const known = from !== null && to !== null && from.length === to.length;
  const six = from?.length === 16;
  if (version === 'v1') {
    if (!known) return Buffer.from('PROXY UNKNOWN\r\n');
    return Buffer.from(`PROXY TCP${six ? 6 : 4} ${remote.ip} ${local.ip} ${remote.port} ${local.port}\r\n`);
  }
  const head = Buffer.alloc(4);
  if (!known) {
    head[0] = commands.local;
    return Buffer.concat([v2Start, head]);
  }
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(remote.port, 0);
  ports.writeUInt16BE(local.port, 2);
  head[0] = commands.proxy;
  head[1] = six ? 0x21 : 0x11;
  head.writeUInt16BE(six ? 36 : 12, 2);
  return Buffer.concat([v2Start, head, from, to, ports]);
}
