/**
 * Proves at start that the native functions do what they must on this machine: importing this module binds every
 * symbol; a socketpair carries bytes; a TLS 1.3 handshake with both certificates verified runs over memory.
 */

import { addressOf } from './ffi.ts';
import * as libc from './libc.ts';
import * as ssl from './openssl.ts';
import {
  type HandshakeOwner,
  type OwnCertificate,
  stepHandshake,
  TlsContextHandle,
  type TlsMaterial,
} from './tls-context.ts';

export class SelfTestError extends Error {}

function expect(ok: boolean, what: string): asserts ok {
  if (!ok) throw new SelfTestError(`self-test of the native functions failed: ${what}`);
}

function testSocketpair(): void {
  const pair = new Int32Array(2);
  expect(libc.socketpair(1n, 0x801n, 0n, addressOf(pair)) === 0, 'socketpair');
  const a = BigInt(pair[0] ?? 0);
  const b = BigInt(pair[1] ?? 0);
  const region = new libc.Region(64);
  region.buffer.write('ping');
  expect(libc.write(a, region.span(0, 4), 4n) === 4, 'write');
  expect(libc.read(b, region.span(32, 8), 8n) === 4 && region.buffer.toString('latin1', 32, 36) === 'ping', 'read');
  expect(libc.read(b, region.span(32, 8), 8n) === -1 && libc.errno() === libc.errnos.EAGAIN, 'errno');
  libc.close(a, 0n);
  libc.close(b, 0n);
}

class End implements HandshakeOwner {
  readonly context: TlsContextHandle;
  readonly ssl: bigint;
  readonly into: bigint;
  readonly out: bigint;
  peers = 0;
  readonly secrets = new Map<string, string>();

  constructor(context: TlsContextHandle) {
    this.context = context;
    this.ssl = ssl.sslNew(context.handle, 0n);
    this.into = ssl.bioNew(ssl.bioMemory(0n, 0n), 0n);
    this.out = ssl.bioNew(ssl.bioMemory(0n, 0n), 0n);
    ssl.sslSetBio(this.ssl, this.into, this.out);
    if (context.role === 'server') ssl.sslSetAccept(this.ssl, 0n);
    else ssl.sslSetConnect(this.ssl, 0n);
  }

  chainRefused(): void {}

  acceptPeer(chain: readonly Buffer[]): boolean {
    this.peers += chain.length > 0 ? 1 : 0;
    return true;
  }

  secret(sender: 'client' | 'server', bytes: Buffer): void {
    this.secrets.set(sender, bytes.toString('hex'));
  }
}

function pump(from: End, to: End, region: libc.Region): void {
  for (;;) {
    const n = ssl.bioRead(from.out, region.span(0, 16_384), 16_384n);
    if (n <= 0) return;
    ssl.bioWrite(to.into, region.span(0, n), BigInt(n));
  }
}

function testTls(certificate: OwnCertificate): void {
  const material: Omit<TlsMaterial, 'role'> = {
    certificates: [certificate],
    anchorsPem: certificate.chainPem,
    requirePeerCertificate: true,
    minVersion: 'TLSv1_3',
    maxVersion: 'TLSv1_3',
    ciphers: '',
    groups: '',
    alpn: ['self-test'],
  };
  const contexts = (['server', 'client'] as const).map((role) => new TlsContextHandle({ ...material, role }));
  const [server, client] = contexts.map((context) => new End(context));
  expect(server !== undefined && client !== undefined, 'contexts');
  const region = new libc.Region(16_384);
  let done = false;
  for (let i = 0; i < 8 && !done; i++) {
    const ours = stepHandshake(client.ssl, client);
    pump(client, server, region);
    const theirs = stepHandshake(server.ssl, server);
    pump(server, client, region);
    done = ours === 1 && theirs === 1;
  }
  expect(done, `TLS handshake: ${ssl.takeError().reason}`);
  expect(server.peers === 1 && client.peers === 1, 'verification callback');
  for (const sender of ['client', 'server']) {
    const secret = server.secrets.get(sender);
    expect(secret !== undefined && secret === client.secrets.get(sender), `secrets of the ${sender}`);
  }
  ssl.sslAlpn(server.ssl, region.span(0, 16), region.span(8, 8));
  expect(region.buffer.readUInt32LE(8) === 9, 'ALPN callback');
  for (const end of [server, client]) ssl.sslFree(end.ssl, 0n);
  for (const context of contexts) context.free();
}

/** own: both ends of the handshake show and trust it. @throws SelfTestError naming what does not work */
export function selfTest(own: OwnCertificate): void {
  testSocketpair();
  testTls(own);
}
