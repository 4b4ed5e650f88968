/**
 * TLS 1.3 between SPIFFE identities, for whatever carries gRPC: what a connection presents and how the other side is
 * judged. Invariant: key, chain and bundle are read anew for every connection, and who the server is comes from its
 * SVID by every rule of verifySvid, never from a DNS name.
 */
import { constants } from 'node:crypto';
import type { ConnectionOptions, DetailedPeerCertificate, PeerCertificate, SecureContextOptions } from 'node:tls';
import { type IdentityMaterial, maxChainLength, type TrustBundle, verifySvid } from '@chainmail/pki';
import { type Clock, systemClock } from '@chainmail/runtime';

export const meshTlsOptions = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  // A resumed session would skip the check of the certificate, which may have expired since.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;

export interface SpiffeChannelOptions {
  /** The bundles to check the server against, now. May throw: the connection fails with its message. */
  readonly bundles: () => readonly TrustBundle[];
  /** What to present, now; undefined at a connection means it fails. Absent for a client without an identity yet. */
  readonly identity?: () => IdentityMaterial | undefined;
  /** The ids the server may have. */
  readonly expected: readonly string[];
  readonly clock?: Clock;
}

/** The certificates that a peer has presented, leaf first. */
export function presentedChain(leaf: PeerCertificate | DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let at: PeerCertificate | DetailedPeerCertificate | undefined = leaf;
  while (at?.raw !== undefined && chain.length < maxChainLength) {
    chain.push(at.raw);
    const next: DetailedPeerCertificate | undefined = 'issuerCertificate' in at ? at.issuerCertificate : undefined;
    at = next === at ? undefined : next;
  }
  return chain;
}

export function secureContextOptions(
  bundles: readonly TrustBundle[],
  material?: IdentityMaterial,
): SecureContextOptions {
  const own = material === undefined ? {} : { key: material.keyPem, cert: material.chainPem };
  return { ...meshTlsOptions, ca: bundles.map((b) => b.pem), ...own };
}

/** What a TLS connection to a server is made with. */
export interface ClientTls {
  readonly context: SecureContextOptions;
  /** Runs before the first byte of the application; an error ends the connection. */
  readonly checkServerIdentity: NonNullable<ConnectionOptions['checkServerIdentity']>;
}

/** For one connection that is about to be made. @throws when there is no certificate of our own to present */
export function spiffeConnection(options: SpiffeChannelOptions): ClientTls {
  const { bundles, identity, expected, clock = systemClock } = options;
  const trusted = bundles();
  const material = identity?.();
  if (identity !== undefined && material === undefined) throw new Error('no valid certificate of our own to present');
  return {
    context: secureContextOptions(trusted, material),
    checkServerIdentity: (_name, certificate) => {
      const chain = presentedChain(certificate);
      const verdict = verifySvid({ chain, bundles: trusted, nowMs: clock.now(), expected });
      return verdict.ok ? undefined : new Error(`the server's certificate is refused: ${verdict.reason}`);
    },
  };
}
