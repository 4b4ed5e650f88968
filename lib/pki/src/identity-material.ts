/** What a CA's answer becomes once it is checked: one key with its chain and bundle, as PEM, ready to be handed out. */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { SignedCertificate } from './csr-signer.ts';
import { createTrustBundle, verifySvid } from './node-crypto.ts';
import { readPemCertificates, writePem } from './pem.ts';
import type { TrustBundle } from './trust-bundle.ts';

export interface IdentityMaterial {
  readonly spiffeId: string;
  /** PKCS#8. A secret: never into a log, an environment variable or a readable file. */
  readonly keyPem: string;
  /** Leaf and intermediates, without the root: what is presented in a handshake. */
  readonly chainPem: string;
  /** The trust anchors peers are checked against. */
  readonly bundlePem: string;
  readonly bundle: TrustBundle;
  /** Of the bundle. */
  readonly sequence: number;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** When it was taken into use; lifetimes are counted from here, since notBefore lies in the past. */
  readonly heldSinceMs: number;
}

export interface AnswerCheck {
  readonly answer: SignedCertificate;
  readonly privateKey: KeyObject;
  readonly keyPem: string;
  readonly trustDomain: string;
  /** The bundle held until now; an older one never replaces it. */
  readonly heldBundle: TrustBundle | undefined;
  /** The only id accepted, when it is known beforehand. */
  readonly expectedId: string | undefined;
  readonly nowMs: number;
}

const sameKey = (leaf: Uint8Array, privateKey: KeyObject): boolean =>
  new X509Certificate(leaf).publicKey.equals(createPublicKey(privateKey));

/** @throws Error with the reason when the answer is not a valid SVID for this key; nothing of it is used then. */
export function acceptAnswer(check: AnswerCheck): IdentityMaterial {
  const { answer, trustDomain, heldBundle, nowMs } = check;
  const anchors = answer.trustAnchorsPem.flatMap(readPemCertificates);
  const offered = createTrustBundle(trustDomain, anchors, answer.bundleSequence);
  const bundle = heldBundle !== undefined && heldBundle.sequence > offered.sequence ? heldBundle : offered;
  const chain = answer.chainPem.flatMap(readPemCertificates);
  const expected = check.expectedId === undefined ? {} : { expected: [check.expectedId] };
  const verdict = verifySvid({ chain, bundles: [bundle], nowMs, ...expected });
  if (!verdict.ok) throw new Error(`the CA's certificate is refused: ${verdict.reason} (${verdict.code})`);
  if (!sameKey(verdict.leaf.der, check.privateKey)) throw new Error("the CA's certificate is for another key");
  const roots = new Set(bundle.anchors.map((a) => Buffer.from(a.fields.der).toString('base64')));
  const presented = chain.filter((der) => !roots.has(Buffer.from(der).toString('base64')));
  return {
    spiffeId: verdict.spiffeId,
    keyPem: check.keyPem,
    chainPem: presented.map((der) => writePem('CERTIFICATE', der)).join(''),
    bundlePem: bundle.pem,
    bundle,
    sequence: bundle.sequence,
    serial: verdict.leaf.serial,
    notBeforeMs: verdict.leaf.notBeforeMs,
    notAfterMs: verdict.leaf.notAfterMs,
    heldSinceMs: nowMs,
  };
}
