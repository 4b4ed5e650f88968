/**
 * Whether trust anchors still stand behind a peer that was verified before: the path from its leaf to one of them, by
 * names and signatures. Validity is not asked again: connections outlive the certificate they began with.
 */
import { readPemCertificates } from '@chainmail/pki/verify';
import { isIssuedBy, keyOf } from '../sys/certificates.ts';
import type { PeerCertificate } from './peer-certificate.ts';

/** Longest path from a leaf to its anchor. */
const maxDepth = 8;

export class Anchors {
  readonly #anchors: readonly Uint8Array[];
  readonly #known = new Map<PeerCertificate, boolean>();

  /** @throws PemError, Error for what is no certificate */
  constructor(bundlePem: string) {
    this.#anchors = readPemCertificates(bundlePem);
    if (!this.#anchors.every((der) => keyOf(der) !== null)) throw new Error('a trust anchor cannot be read');
  }

  vouchFor(peer: PeerCertificate): boolean {
    let vouched = this.#known.get(peer);
    if (vouched === undefined) {
      vouched = this.#hasPath(peer);
      this.#known.set(peer, vouched);
    }
    return vouched;
  }

  #hasPath({ fields, issuers }: PeerCertificate): boolean {
    let current: Uint8Array | undefined = fields.der;
    for (let depth = 0; current !== undefined && depth < maxDepth; depth++) {
      const below: Uint8Array = current;
      if (this.#anchors.some((a) => isSame(a, below) || isIssuedBy(below, a))) return true;
      current = issuers.find((c) => !isSame(c, below) && isIssuedBy(below, c));
    }
    return false;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
