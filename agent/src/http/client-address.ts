/** Who the client is and how it came: x-forwarded-for, -proto and x-envoy-external-address as Envoy keeps them. */
import os from 'node:os';
import { staticHeader } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import { isWord } from '../http1/parse-head.ts';
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import { isIP } from '../sys/ip-text.ts';
import type { Request } from './request.ts';

const protoHttp = staticHeader('x-forwarded-proto', 'http');
const protoHttps = staticHeader('x-forwarded-proto', 'https');
const httpsWord = new TextEncoder().encode('https');
const forwardedFor = token['x-forwarded-for'];
const forwardedProto = token['x-forwarded-proto'];

type Rules = Pick<HttpConnectionManagerSpec, 'useRemoteAddress' | 'xffNumTrustedHops' | 'skipXffAppend'>;

/** Settles remoteIp and scheme of the request and edits its headers. ownAddress stands for a peer on loopback. */
export function settleClientAddress(request: Request, rules: Rules, ownAddress: string): void {
  if (rules.useRemoteAddress) settleFromConnection(request, rules, ownAddress);
  else settleFromHeaders(request, rules.xffNumTrustedHops);
}

function settleFromConnection(request: Request, rules: Rules, ownAddress: string): void {
  const { head, connection } = request;
  const hops = rules.xffNumTrustedHops;
  if (hops > 0) request.remoteIp = addressFromRight(request, hops) ?? connection.remoteIp;
  if (!rules.skipXffAppend) {
    const peer = isLoopback(connection.remoteIp) ? ownAddress : connection.remoteIp;
    const before = head.getAll('x-forwarded-for').join(',');
    head.set('x-forwarded-for', before === '' ? peer : `${before},${peer}`);
  }
  if (hops === 0 || head.find(forwardedProto) < 0) {
    if (head.find(forwardedProto) < 0) head.addStatic(protoOf(connection));
    else head.set('x-forwarded-proto', schemeOf(connection));
    request.scheme = schemeOf(connection);
  } else request.scheme = claimedScheme(request);
}

function settleFromHeaders(request: Request, hops: number): void {
  const { head, connection } = request;
  if (head.has(forwardedFor)) request.remoteIp = addressFromRight(request, hops + 1) ?? connection.remoteIp;
  if (head.find(forwardedProto) < 0) head.addStatic(protoOf(connection));
  else request.scheme = claimedScheme(request);
}

/** The nth address from the right of x-forwarded-for, or null when there is none or it is no address. */
export function addressFromRight(request: Request, n: number): string | null {
  const addresses = request.head.getAll('x-forwarded-for').join(',').split(',');
  const text = addresses[addresses.length - n]?.trim() ?? '';
  return isIP(text) ? text : null;
}

export function claimedScheme(request: Request): 'http' | 'https' {
  const { head } = request;
  const index = head.find(forwardedProto);
  const https = index >= 0 && isWord(head.bytes, head.valueStart(index), head.valueEnd(index), httpsWord);
  return https ? 'https' : 'http';
}

function schemeOf(connection: ConnectionInfo): 'http' | 'https' {
  return connection.tlsVersion === '' ? 'http' : 'https';
}

function protoOf(connection: ConnectionInfo): typeof protoHttp {
  return connection.tlsVersion === '' ? protoHttp : protoHttps;
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1' || ip.startsWith('::ffff:127.');
}

/** The machine's first IPv4 address that is not loopback. */
export function ownIpv4(): string {
  for (const addresses of Object.values(os.networkInterfaces())) {
    const found = addresses?.find((a) => a.family === 'IPv4' && !a.internal);
    if (found !== undefined) return found.address;
  }
  return '127.0.0.1';
}
