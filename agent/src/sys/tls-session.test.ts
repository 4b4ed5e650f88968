import test from 'ava';
import { addressOf, bindInt, bindPointer } from './ffi.ts';
import * as libc from './libc.ts';
import * as ssl from './openssl.ts';
import { throwawayCertificate } from './throwaway-certificate.ts';
import { type HandshakeOwner, stepHandshake, TlsContextHandle } from './tls-context.ts';
import { forgetHandshake } from './tls-session.ts';

const encodedKey = bindPointer('EVP_PKEY_get1_encoded_public_key', 2);
const keyUpdate = bindInt('SSL_key_update', 2);
const requested = 1n; // SSL_KEY_UPDATE_REQUESTED: the peer changes its keys as well

const { chainPem, keyPem } = throwawayCertificate(Date.now());
const region = new libc.Region(256);
const out = new BigUint64Array(1);

function endOf(role: 'client' | 'server', version: 'TLSv1_2' | 'TLSv1_3', fd: number) {
  const context = new TlsContextHandle({
    role,
    certificates: [{ chainPem, keyPem }],
    anchorsPem: chainPem,
    requirePeerCertificate: true,
    minVersion: version,
    maxVersion: version,
    ciphers: '',
    groups: '',
    alpn: [],
  });
  const handle = ssl.sslNew(context.handle, 0n);
  ssl.sslSetFd(handle, BigInt(fd));
  if (role === 'server') ssl.sslSetAccept(handle, 0n);
  else ssl.sslSetConnect(handle, 0n);
  const owner: HandshakeOwner = {
    context,
    chainRefused: () => undefined,
    acceptPeer: () => true,
    secret: () => undefined,
  };
  return { handle, owner };
}

/** The handles of both ends over a socketpair, after the handshake. */
function connected(version: 'TLSv1_2' | 'TLSv1_3'): readonly [client: bigint, server: bigint] {
  const fds = new Int32Array(2);
  libc.socketpair(1n, 0x801n, 0n, addressOf(fds));
  const ends = [endOf('client', version, fds[0] ?? -1), endOf('server', version, fds[1] ?? -1)] as const;
  for (let i = 0; i < 16; i++) {
    const done = ends.filter(({ handle, owner }) => stepHandshake(handle, owner) === 1);
    if (done.length === 2) return [ends[0].handle, ends[1].handle];
  }
  throw new Error(`no handshake: ${ssl.takeError().reason}`);
}

function carry(from: bigint, to: bigint, text: string): string {
  region.buffer.write(text);
  ssl.sslWrite(from, region.span(0, text.length), BigInt(text.length));
  const n = ssl.sslRead(to, region.span(128, 128), 128n);
  return n > 0 ? region.buffer.toString('latin1', 128, 128 + n) : `read: ${n}, ${ssl.takeError().reason}`;
}

/** Bytes of the public keys that a handle still holds: our share, the peer's, and the peer's certificate's. */
function keyBytes(handle: bigint): readonly number[] {
  const shares = [ssl.ctrl.tmpKey, ssl.ctrl.peerTmpKey].flatMap((which) => {
    if (ssl.sslCtrl(handle, which, 0n, addressOf(out)) !== 1) return [];
    const key = out[0] ?? 0n;
    const bytes = Number(encodedKey(key, addressOf(out)));
    ssl.keyFree(key, 0n);
    return [bytes];
  });
  return [...shares, Number(encodedKey(ssl.x509Key(ssl.sslPeerCertificate(handle, 0n), 0n), addressOf(out)))];
}

for (const version of ['TLSv1_2', 'TLSv1_3'] as const) {
  test(`${version}: what has forgotten its handshake holds no key of it and carries bytes both ways`, (t) => {
    const [client, server] = connected(version);
    for (const handle of [client, server]) t.true(keyBytes(handle).every((n) => n > 0));
    for (const handle of [client, server, client]) forgetHandshake(handle);
    for (const handle of [client, server]) t.true(keyBytes(handle).every((n) => n === 0));
    for (let i = 0; i < 20; i++) {
      t.is(carry(client, server, `ping ${i}`), `ping ${i}`);
      t.is(carry(server, client, `pong ${i}`), `pong ${i}`);
      if (version === 'TLSv1_3') t.is(keyUpdate(i % 2 === 0 ? client : server, requested), 1);
    }
    for (const handle of [client, server]) ssl.sslFree(handle, 0n);
  });
}
