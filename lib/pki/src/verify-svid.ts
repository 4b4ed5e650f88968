/**
 * Whether a presented chain is a valid X.509-SVID now (X509-SVID.md section 5, RFC 5280 section 6).
 * Invariant: fails closed: a rule that cannot be evaluated refuses. The outcome is a value, for peers send anything.
 */
import { type CertificateFields, readCertificate } from './certificate.ts';
import type { CertificateCrypto, KeyFacts } from './certificate-crypto.ts';
import { equalSpiffeIds, formatSpiffeId, readSpiffeId, type SpiffeId } from './spiffe-id.ts';
import type { TrustAnchor, TrustBundle } from './trust-bundle.ts';

/** Leaf and intermediates that a peer may present. */
export const maxChainLength = 6;

export type SvidRefusal =
  | 'chain-empty'
  | 'chain-too-long'
  | 'not-a-certificate'
  | 'not-one-uri'
  | 'not-a-spiffe-id'
  | 'no-path'
  | 'san-not-critical'
  | 'is-ca'
  | 'key-usage'
  | 'extended-key-usage'
  | 'unknown-critical-extension'
  | 'weak-key'
  | 'weak-signature'
  | 'not-yet-valid'
  | 'expired'
  | 'unknown-trust-domain'
  | 'untrusted'
  | 'unexpected-identity';

export interface Svid {
  readonly ok: true;
  readonly id: SpiffeId;
  /** The id's one spelling, for comparing and showing. */
  readonly spiffeId: string;
  readonly leaf: CertificateFields;
  /** The anchor that the chain ends at. */
  readonly anchor: TrustAnchor;
}

export interface RefusedSvid {
  readonly ok: false;
  readonly code: SvidRefusal;
  /** One sentence for a log or a person. */
  readonly reason: string;
}

export type SvidVerdict = Svid | RefusedSvid;

export interface SvidCheck {
  /** DER, leaf first, then intermediates in any order. */
  readonly chain: readonly Uint8Array[];
  /** One for each trust domain that is accepted; the leaf's own domain chooses. */
  readonly bundles: readonly TrustBundle[];
  readonly nowMs: number;
  /** The only ids accepted, in their one spelling; absent means any id of the bundles' domains. */
  readonly expected?: readonly string[];
}

class Refusal extends Error {
  readonly code: SvidRefusal;
  constructor(code: SvidRefusal, reason: string) {
    super(reason);
    this.code = code;
  }
}

const oids = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const;

/** ECDSA and RSA with SHA-2, RSA-PSS, Ed25519: SHA-1 and MD5 are absent on purpose. */
const signatureAlgorithms: ReadonlySet<string> = new Set([
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.10',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112',
]);

interface Link {
  readonly fields: CertificateFields;
  readonly key: KeyFacts;
}

function readLink(crypto: CertificateCrypto, der: Uint8Array, at: number): Link {
  try {
    return { fields: readCertificate(der), key: crypto.keyOf(der) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    throw new Refusal('not-a-certificate', `certificate ${at + 1} of the chain: ${reason}`);
  }
}

function checkValidity(fields: CertificateFields, nowMs: number, what: string): void {
  if (nowMs < fields.notBeforeMs) {
    throw new Refusal('not-yet-valid', `${what} is valid from ${new Date(fields.notBeforeMs).toISOString()}`);
  }
  if (nowMs > fields.notAfterMs) {
    throw new Refusal('expired', `${what} expired at ${new Date(fields.notAfterMs).toISOString()}`);
  }
}

/** What a private key behind an SVID may be: P-256, P-384, Ed25519, RSA from 2048 to 8192 bits; else the reason. */
export function keyProblem({ type, curve, bits }: KeyFacts): string | undefined {
  switch (type) {
    case 'ec':
      return curve === 'prime256v1' || curve === 'secp384r1' ? undefined : `curve ${curve}`;
    case 'ed25519':
      return undefined;
    case 'rsa':
      return bits !== undefined && bits >= 2048 && bits <= 8192 ? undefined : `RSA of ${bits} bits`;
    default:
      return `key type ${type}`;
  }
}

function checkKey(link: Link, what: string): void {
  const problem = keyProblem(link.key);
  if (problem !== undefined) throw new Refusal('weak-key', `${what}: ${problem} is not allowed`);
}

function readId(fields: CertificateFields): SpiffeId {
  if (fields.uris.length !== 1) {
    throw new Refusal('not-one-uri', `an SVID has exactly one URI, this one has ${fields.uris.length}`);
  }
  const result = readSpiffeId(fields.uris[0] ?? '');
  if (!result.ok) throw new Refusal('not-a-spiffe-id', `the URI is not a SPIFFE ID: ${result.reason}`);
  return result.id;
}

function checkLeafUsage(leaf: CertificateFields): void {
  if (leaf.isCa) throw new Refusal('is-ca', 'the leaf is a CA certificate, which must not authenticate');
  const usage = leaf.keyUsage;
  if (usage === undefined || !usage.critical || !usage.digitalSignature) {
    throw new Refusal('key-usage', 'keyUsage must be there, be critical and have digitalSignature');
  }
  if (usage.keyCertSign || usage.crlSign) throw new Refusal('key-usage', 'keyUsage has keyCertSign or cRLSign');
  const purposes = leaf.extendedKeyUsage;
  if (purposes !== undefined && !(purposes.includes(oids.serverAuth) && purposes.includes(oids.clientAuth))) {
    throw new Refusal('extended-key-usage', 'extendedKeyUsage must have both serverAuth and clientAuth');
  }
}

function checkLeaf(leaf: CertificateFields): SpiffeId {
  const id = readId(leaf);
  if (id.path === '') throw new Refusal('no-path', 'the SPIFFE ID has no path');
  if (leaf.subjectIsEmpty && !leaf.subjectAltNameIsCritical) {
    throw new Refusal('san-not-critical', 'the subject is empty and subjectAltName is not critical');
  }
  checkLeafUsage(leaf);
  checkUnknown(leaf, 'the leaf');
  return id;
}

function checkUnknown(fields: CertificateFields, what: string): void {
  const [oid] = fields.unknownCritical;
  if (oid === undefined) return;
  throw new Refusal('unknown-critical-extension', `${what} has the critical extension ${oid}, which is not processed`);
}

/** A signing certificate that a chain of `below` intermediates hangs on. */
function checkSigner(fields: CertificateFields, trustDomain: string, below: number, nowMs: number, what: string): void {
  checkUnknown(fields, what);
  if (!fields.isCa || fields.keyUsage?.keyCertSign !== true) {
    throw new Refusal('untrusted', `${what} may not sign certificates`);
  }
  if (fields.pathLength !== undefined && below > fields.pathLength) {
    throw new Refusal('untrusted', `${what} allows ${fields.pathLength} intermediates, there are ${below}`);
  }
  if (fields.uris.length > 0) {
    const id = readId(fields);
    if (id.path !== '' || id.trustDomain !== trustDomain) {
      throw new Refusal('untrusted', `${what} has the SPIFFE ID ${formatSpiffeId(id)}, which may not sign here`);
    }
  }
  checkValidity(fields, nowMs, what);
}

/** Something that may have signed a certificate: a link of the chain, or an anchor. */
type Signer = Pick<Link, 'fields'>;

function isSignedBy(crypto: CertificateCrypto, { fields }: Link, issuer: Signer): boolean {
  if (Buffer.compare(fields.issuer, issuer.fields.subject) !== 0) return false;
  return crypto.isSignedBy(fields.der, issuer.fields.der);
}

interface Path {
  readonly crypto: CertificateCrypto;
  readonly bundle: TrustBundle;
  readonly nowMs: number;
}

/** Depth first from child to an anchor; the reason of the last dead end is the one reported. */
function findAnchor(child: Link, spare: readonly Link[], below: number, path: Path): TrustAnchor {
  const { crypto, bundle, nowMs } = path;
  if (!signatureAlgorithms.has(child.fields.signatureAlgorithm)) {
    throw new Refusal('weak-signature', `signature algorithm ${child.fields.signatureAlgorithm} is not allowed`);
  }
  let deadEnd = new Refusal('untrusted', 'no trust anchor signed the chain');
  const attempt = (go: () => TrustAnchor): TrustAnchor | undefined => {
    try {
      return go();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      deadEnd = error;
      return undefined;
    }
  };
  for (const anchor of bundle.anchors) {
    if (!isSignedBy(crypto, child, anchor)) continue;
    const found = attempt(() => {
      checkSigner(anchor.fields, bundle.trustDomain, below, nowMs, 'the trust anchor');
      return anchor;
    });
    if (found !== undefined) return found;
  }
  for (const issuer of spare) {
    if (!isSignedBy(crypto, child, issuer)) continue;
    const found = attempt(() => {
      checkSigner(issuer.fields, bundle.trustDomain, below, nowMs, 'an intermediate');
      checkKey(issuer, 'an intermediate');
      const rest = spare.filter((s) => s !== issuer);
      return findAnchor(issuer, rest, below + 1, path);
    });
    if (found !== undefined) return found;
  }
  throw deadEnd;
}

function verify(crypto: CertificateCrypto, check: SvidCheck): Svid {
  const { chain, bundles, nowMs, expected } = check;
  if (chain.length > maxChainLength) throw new Refusal('chain-too-long', `more than ${maxChainLength} certificates`);
  const [leaf, ...intermediates] = chain.map((der, at) => readLink(crypto, der, at));
  if (leaf === undefined) throw new Refusal('chain-empty', 'no certificate was presented');
  const id = checkLeaf(leaf.fields);
  checkKey(leaf, 'the leaf');
  checkValidity(leaf.fields, nowMs, 'the leaf');
  const bundle = bundles.find((b) => b.trustDomain === id.trustDomain);
  if (bundle === undefined) {
    throw new Refusal('unknown-trust-domain', `no trust bundle for trust domain ${id.trustDomain}`);
  }
  const anchorNames = new Set(bundle.anchors.map((a) => a.sha256));
  const spare = intermediates.filter((i) => !anchorNames.has(crypto.sha256(i.fields.der)));
  const anchor = findAnchor(leaf, spare, 0, { crypto, bundle, nowMs });
  const spiffeId = formatSpiffeId(id);
  if (expected !== undefined && !expected.some((e) => isSameId(e, id))) {
    throw new Refusal('unexpected-identity', `the peer is ${spiffeId}, expected ${expected.join(' or ')}`);
  }
  return { ok: true, id, spiffeId, leaf: leaf.fields, anchor };
}

function isSameId(text: string, id: SpiffeId): boolean {
  const other = readSpiffeId(text);
  return other.ok && equalSpiffeIds(other.id, id);
}

/** Every rule at the given time. Never throws for what a peer presents. */
export function verifySvidWith(crypto: CertificateCrypto, check: SvidCheck): SvidVerdict {
  try {
    return verify(crypto, check);
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, code: error.code, reason: error.message };
    throw error;
  }
}
