/**
 * A verified peer's leaf certificate, read once per certificate and not once per connection.
 * Invariant: an object exists only for DER that was read whole; names come from the DER, never from printed text.
 */
import { type CertificateFields, readCertificate, writePem } from '@chainmail/pki/verify';
import { subjectText } from '../sys/certificates.ts';
import { sha256 as digestOf } from '../sys/digest.ts';

const maxCached = 1024;

export class PeerCertificate {
  readonly sha256: string;
  readonly fields: CertificateFields;
  /** The first URI SAN, or ''. */
  readonly principal: string;
  /** What it has presented above its leaf, when it was first seen. */
  issuers: readonly Buffer[] = [];
  #subject: string | null = null;
  #pem: string | null = null;

  constructor(sha256: string, fields: CertificateFields) {
    this.sha256 = sha256;
    this.fields = fields;
    this.principal = fields.uris[0] ?? '';
  }

  subject(): string {
    this.#subject ??= subjectText(this.fields.der);
    return this.#subject;
  }

  pem(): string {
    this.#pem ??= writePem('CERTIFICATE', this.fields.der);
    return this.#pem;
  }
}

const cache = new Map<string, PeerCertificate>();

/** @throws DerError for what is not one whole certificate */
export function peerCertificateOf(der: Buffer): PeerCertificate {
  const sha256 = digestOf(der).toString('hex');
  const known = cache.get(sha256);
  if (known !== undefined) return known;
  const peer = new PeerCertificate(sha256, readCertificate(der));
  if (cache.size >= maxCached) for (const oldest of cache.keys()) return store(oldest, peer);
  cache.set(sha256, peer);
  return peer;
}

function store(instead: string, peer: PeerCertificate): PeerCertificate {
  cache.delete(instead);
  cache.set(peer.sha256, peer);
  return peer;
}
