/**
 * Whether trust anchors still stand behind a peer that was verified before: the path from its leaf to one of them, by
 * names and signatures. Validity is not asked again: connections outlive the certificate they began with.
 */
import { X509Certificate } from 'node:crypto';
import { readPemCertificates } from '@chainmail/pki/verify';
import type { PeerCertificate } from './peer-certificate.ts';

/** Longest path from a leaf to its anchor. */
const maxDepth = 8;

export class Anchors {
  readonly #anchors: readonly X509Certificate[];
  readonly #known = new Map<PeerCertificate, boolean>();

  /** @throws PemError */
  constructor(bundlePem: string) {
    this.#anchors = readPemCertificates(bundlePem).map((der) => new X509Certificate(der));
  }

  vouchFor(peer: PeerCertificate): boolean {
    let vouched = this.#known.get(peer);
    if (vouched === undefined) {
      vouched = this.#hasPath(peer);
      this.#known.set(peer, vouched);
    }
    return vouched;
  }

  #hasPath(peer: PeerCertificate): boolean {
    try {
      const above = peer.issuers.map((der) => new X509Certificate(der));
      let current: X509Certificate | undefined = new X509Certificate(peer.fields.der);
      for (let depth = 0; current !== undefined && depth < maxDepth; depth++) {
        const below: X509Certificate = current;
        if (this.#anchors.some((a) => a.raw.equals(below.raw) || issued(a, below))) return true;
        current = above.find((c) => !c.raw.equals(below.raw) && issued(c, below));
      }
    } catch {
      // What cannot be read is not vouched for.
    }
    return false;
  }
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
