/**
 * Whether a peer whose chain OpenSSL has verified may talk to us: the X.509-SVID rules and the names that are allowed.
 * Invariant: no byte of the peer reaches a handler before accepts() said yes; whatever cannot be read is refused.
 */
import {
  createTrustBundleWith,
  readPemCertificates,
  readSpiffeId,
  type TrustBundle,
  verifySvidWith,
} from '@chainmail/pki/verify';
import type { SubjectAltNameMatchSpec } from '../model/tls.ts';
import { compileStringMatch, type StringMatch } from '../policy/string-match.ts';
import { sha256 } from '../sys/digest.ts';
import { ipText } from '../sys/sockaddr.ts';
import { opensslCrypto } from './openssl-crypto.ts';
import { type PeerCertificate, peerCertificateOf } from './peer-certificate.ts';

export type PeerVerdict =
  | { readonly ok: true; readonly peer: PeerCertificate }
  /** `san` for a name that is not allowed, `hash` for a certificate that is not pinned, `verify` for a broken rule. */
  | { readonly ok: false; readonly cause: 'san' | 'hash' | 'verify'; readonly reason: string };

export interface PeerCheckOptions {
  readonly subjectAltNames: readonly SubjectAltNameMatchSpec[];
  /** The anchors' PEM and our own trust domain, when the peer must be an SVID; else null. */
  readonly svid: { readonly anchorsPem: string; readonly trustDomain: string } | null;
  /** The certificate or its public key must be one of these; both empty: any. */
  readonly certificateHashes?: readonly string[];
  readonly spkiHashes?: readonly string[];
  readonly nowMs: () => number;
}

const maxCached = 1024;
/** Readers of names disagree about where one ends that holds a NUL, and none has business with the others. */
const controlCharacter = /[\x00-\x1f\x7f]/;

interface NameMatch {
  readonly type: SubjectAltNameMatchSpec['type'];
  readonly matches: StringMatch;
}

export class PeerCheck {
  readonly #names: readonly NameMatch[];
  readonly #certificateHashes: ReadonlySet<string>;
  readonly #spkiHashes: ReadonlySet<string>;
  readonly #bundle: TrustBundle | null;
  readonly #nowMs: () => number;
  /** By certificate: OpenSSL verifies chain and validity on every handshake, the rest cannot change. */
  readonly #verdicts = new Map<string, PeerVerdict>();

  /** @throws TrustBundleError, PemError, UserError (a regex that does not compile) */
  constructor(options: PeerCheckOptions) {
    this.#names = options.subjectAltNames.map((n) => ({ type: n.type, matches: compileStringMatch(n.match) }));
    this.#nowMs = options.nowMs;
    this.#certificateHashes = new Set(options.certificateHashes);
    this.#spkiHashes = new Set(options.spkiHashes);
    this.#bundle =
      options.svid === null
        ? null
        : createTrustBundleWith(
            opensslCrypto,
            options.svid.trustDomain,
            readPemCertificates(options.svid.anchorsPem),
            0,
          );
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
    const { uris, dnsNames, emails } = peer.fields;
    if ([...uris, ...dnsNames, ...emails].some((name) => controlCharacter.test(name))) {
      return { ok: false, cause: 'verify', reason: 'a name in the certificate holds a control character' };
    }
    const verdict = this.#judge(peer, chain);
    if (this.#verdicts.size >= maxCached) this.#verdicts.clear();
    // A refusal may be about the rest of the chain or the time: asked again next time.
    if (verdict.ok) this.#verdicts.set(peer.sha256, verdict);
    return verdict;
  }

  #isPinned(peer: PeerCertificate): boolean {
    if (this.#certificateHashes.size === 0 && this.#spkiHashes.size === 0) return true;
    if (this.#certificateHashes.has(peer.sha256)) return true;
    return this.#spkiHashes.size > 0 && this.#spkiHashes.has(sha256(peer.fields.publicKeyInfo).toString('base64'));
  }

  #judge(peer: PeerCertificate, chain: readonly Buffer[]): PeerVerdict {
    if (this.#bundle !== null) {
      const svid = verifySvidWith(opensslCrypto, { chain, bundles: [this.#bundle], nowMs: this.#nowMs() });
      if (!svid.ok) return { ok: false, cause: 'verify', reason: svid.reason };
    }
    if (this.#names.length === 0 || this.#names.some((n) => namesOf(peer, n.type).some((v) => n.matches(v)))) {
      if (this.#isPinned(peer)) return { ok: true, peer };
      return { ok: false, cause: 'hash', reason: `the certificate ${peer.sha256} is not one of those pinned here` };
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
