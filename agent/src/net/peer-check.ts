/**
 * Whether a peer whose chain OpenSSL has verified may talk to us: the X.509-SVID rules and the names that are allowed.
 * Invariant: no byte of the peer reaches a handler before accepts() said yes; whatever cannot be read is refused.
 */
import {
  createTrustBundle,
  readPemCertificates,
  readSpiffeId,
  type TrustBundle,
  verifySvid,
} from '@chainmail/pki/verify';
import type { SubjectAltNameMatchSpec } from '../model/tls.ts';
import { compileStringMatch, type StringMatch } from '../policy/string-match.ts';
import { ipText } from '../sys/sockaddr.ts';
import { type PeerCertificate, peerCertificateOf } from './peer-certificate.ts';

export type PeerVerdict =
  | { readonly ok: true; readonly peer: PeerCertificate }
  /** `san` for a name that is not allowed, `verify` for a certificate that breaks a rule. */
  | { readonly ok: false; readonly cause: 'san' | 'verify'; readonly reason: string };

export interface PeerCheckOptions {
  readonly subjectAltNames: readonly SubjectAltNameMatchSpec[];
  /** The anchors' PEM and our own trust domain, when the peer must be an SVID; else null. */
  readonly svid: { readonly anchorsPem: string; readonly trustDomain: string } | null;
  readonly nowMs: () => number;
}

const maxCached = 1024;

interface NameMatch {
  readonly type: SubjectAltNameMatchSpec['type'];
  readonly matches: StringMatch;
}

export class PeerCheck {
  readonly #names: readonly NameMatch[];
  readonly #bundle: TrustBundle | null;
  readonly #nowMs: () => number;
  /** By certificate: OpenSSL verifies chain and validity on every handshake, the rest cannot change. */
  readonly #verdicts = new Map<string, PeerVerdict>();

  /** @throws TrustBundleError, PemError, UserError (a regex that does not compile) */
  constructor(options: PeerCheckOptions) {
    this.#names = options.subjectAltNames.map((n) => ({ type: n.type, matches: compileStringMatch(n.match) }));
    this.#nowMs = options.nowMs;
    this.#bundle =
      options.svid === null
        ? null
        : createTrustBundle(options.svid.trustDomain, readPemCertificates(options.svid.anchorsPem));
  }

  /** Chain in DER, leaf first. */
  accepts(chain: readonly Buffer[]): PeerVerdict {
    const [leaf] = chain;
    if (leaf === undefined) return { ok: false, cause: 'verify', reason: 'no certificate' };
    let peer: PeerCertificate;
    try {
      peer = peerCertificateOf(leaf);
    } catch (error) {
      return { ok: false, cause: 'verify', reason: error instanceof Error ? error.message : 'unreadable certificate' };
    }
    const known = this.#verdicts.get(peer.sha256);
    if (known !== undefined) return known;
    const verdict = this.#judge(peer, chain);
    if (this.#verdicts.size >= maxCached) this.#verdicts.clear();
    // A refusal may be about the rest of the chain or the time: asked again next time.
    if (verdict.ok) this.#verdicts.set(peer.sha256, verdict);
    return verdict;
  }

  #judge(peer: PeerCertificate, chain: readonly Buffer[]): PeerVerdict {
    if (this.#bundle !== null) {
      const svid = verifySvid({ chain, bundles: [this.#bundle], nowMs: this.#nowMs() });
      if (!svid.ok) return { ok: false, cause: 'verify', reason: svid.reason };
    }
    if (this.#names.length === 0 || this.#names.some((n) => namesOf(peer, n.type).some((v) => n.matches(v)))) {
      return { ok: true, peer };
    }
    const presented = [...peer.fields.uris, ...peer.fields.dnsNames].slice(0, 4).join(', ') || 'no name';
    return { ok: false, cause: 'san', reason: `the peer is ${presented}, which is not among the names allowed here` };
  }
}

function namesOf(peer: PeerCertificate, type: SubjectAltNameMatchSpec['type']): readonly string[] {
  switch (type) {
    case 'uri':
      return peer.fields.uris;
    case 'dns':
      return peer.fields.dnsNames;
    case 'ip':
      return peer.fields.ipAddresses.map(ipText);
    case 'email':
      return peer.fields.emails;
  }
}

/** The trust domain of a SPIFFE ID in text, or ''. */
export function trustDomainOf(uri: string): string {
  const read = readSpiffeId(uri);
  return read.ok ? read.id.trustDomain : '';
}
