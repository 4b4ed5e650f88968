/** A handshake between two sessions of OpenSSL over a socketpair, for tests of who takes over behind it. */
import { addressOf, bindInt } from '../../sys/ffi.ts';
import * as ssl from '../../sys/openssl.ts';
import { throwawayCertificate } from '../../sys/throwaway-certificate.ts';
import { type HandshakeOwner, stepHandshake, TlsContextHandle } from '../../sys/tls-context.ts';
import { pair } from './records.ts';

const setSuites = bindInt('SSL_set_ciphersuites', 2);
const certificate = throwawayCertificate(Date.now());

export interface SessionPair {
  readonly client: bigint;
  readonly server: bigint;
  /** Their descriptors. */
  readonly clientFd: bigint;
  readonly serverFd: bigint;
  readonly clientSecret: Buffer;
  readonly serverSecret: Buffer;
}

function sessionOf(role: 'client' | 'server', fd: bigint, suite: string, secrets: Map<string, Buffer>) {
  const context = new TlsContextHandle({
    role,
    certificates: [certificate],
    anchorsPem: certificate.chainPem,
    requirePeerCertificate: true,
    minVersion: 'TLSv1_3',
    maxVersion: 'TLSv1_3',
    ciphers: '',
    groups: '',
    alpn: [],
  });
  const handle = ssl.sslNew(context.handle, 0n);
  ssl.sslSetFd(handle, fd);
  setSuites(handle, addressOf(Buffer.from(`${suite}\0`)));
  if (role === 'server') ssl.sslSetAccept(handle, 0n);
  else ssl.sslSetConnect(handle, 0n);
  const owner: HandshakeOwner = {
    context,
    chainRefused: () => undefined,
    acceptPeer: () => true,
    secret: (sender, bytes) => secrets.set(sender, bytes),
  };
  return { handle, owner };
}

export function sessionPair(suite: string): SessionPair {
  const [clientFd, serverFd] = pair();
  const secrets = new Map<string, Buffer>();
  const ends = [sessionOf('client', clientFd, suite, secrets), sessionOf('server', serverFd, suite, secrets)] as const;
  const none = Buffer.alloc(0);
  for (let i = 0; i < 16; i++) {
    if (ends.filter(({ handle, owner }) => stepHandshake(handle, owner) === 1).length < 2) continue;
    return {
      client: ends[0].handle,
      server: ends[1].handle,
      clientFd,
      serverFd,
      clientSecret: secrets.get('client') ?? none,
      serverSecret: secrets.get('server') ?? none,
    };
  }
  throw new Error(`no handshake: ${ssl.takeError().reason}`);
}
