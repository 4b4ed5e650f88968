/**
 * The fields of an X.509 certificate (RFC 5280) that identity depends on, from DER; printed names are never parsed
 * (CVE-2021-44532, CVE-2025-66220). Invariant: what cannot be read whole is refused. Loads no package.
 */
import {
  DerError,
  type DerValue,
  expectTag,
  readBoolean,
  readChildren,
  readDer,
  readOid,
  readTime,
  tags,
} from './der.ts';

/** A certificate above this is refused unread; ours have 600 bytes. */
const maxCertificateBytes = 16 * 1024;

export interface CertificateFields {
  readonly der: Uint8Array;
  /** Lower-case hex of the serial's content bytes. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of the Name, compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly subjectIsEmpty: boolean;
  readonly signatureAlgorithm: string;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKeyInfo: Uint8Array;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ipAddresses: readonly Uint8Array[];
  readonly subjectAltNameIsCritical: boolean;
  readonly isCa: boolean;
  /** How many intermediates may follow, or undefined for no limit. */
  readonly pathLength: number | undefined;
  readonly keyUsage: KeyUsage | undefined;
  /** OIDs, or undefined when the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Critical extensions that nothing here processes; a verifier must refuse them (RFC 5280 4.2). */
  readonly unknownCritical: readonly string[];
}

export interface KeyUsage {
  readonly critical: boolean;
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly crlSign: boolean;
}

const oids = {
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
} as const;

interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

function readExtensions(field: DerValue | undefined): Map<string, Extension> {
  const found = new Map<string, Extension>();
  if (field === undefined) return found;
  for (const item of readChildren(readDer(field.content, tags.sequence).content)) {
    const parts = readChildren(expectTag(item, tags.sequence, 'extension').content);
    const oid = readOid(parts[0], 'extension');
    const flag = parts.length === 3 ? parts[1] : undefined;
    const critical = flag !== undefined && readBoolean(flag, 'critical');
    if (found.has(oid)) throw new DerError(`extension ${oid} stands twice`);
    found.set(oid, { critical, value: expectTag(parts[parts.length - 1], tags.octetString, 'extension').content });
  }
  return found;
}

interface AltNames {
  readonly uris: string[];
  readonly dnsNames: string[];
  readonly emails: string[];
  readonly ipAddresses: Uint8Array[];
}

function readAltNames(extension: Extension | undefined): AltNames {
  const names: AltNames = { uris: [], dnsNames: [], emails: [], ipAddresses: [] };
  if (extension === undefined) return names;
  for (const name of readChildren(readDer(extension.value, tags.sequence).content)) {
    const text = Buffer.from(name.content).toString('latin1');
    if (name.tag === 0x86) names.uris.push(text); // [6] uniformResourceIdentifier
    if (name.tag === 0x82) names.dnsNames.push(text); // [2] dNSName
    if (name.tag === 0x81) names.emails.push(text); // [1] rfc822Name
    if (name.tag === 0x87) names.ipAddresses.push(name.content); // [7] iPAddress
  }
  return names;
}

function readKeyUsage(extension: Extension | undefined): KeyUsage | undefined {
  if (extension === undefined) return undefined;
  const { content } = readDer(extension.value, tags.bitString);
  const bits = content[1] ?? 0;
  if (content.length < 2 || content.length > 3 || (content[0] ?? 8) > 7)
    throw new DerError('keyUsage: not a bit string');
  const has = (mask: number): boolean => (bits & mask) !== 0;
  return {
    critical: extension.critical,
    digitalSignature: has(0x80),
    keyCertSign: has(0x04),
    crlSign: has(0x02),
  };
}

function readBasicConstraints(extension: Extension | undefined): { isCa: boolean; pathLength: number | undefined } {
  if (extension === undefined) return { isCa: false, pathLength: undefined };
  const parts = readChildren(readDer(extension.value, tags.sequence).content);
  const first = parts[0];
  const isCa = first !== undefined && first.tag === tags.boolean && readBoolean(first, 'cA');
  const length = parts.find((p) => p.tag === tags.integer)?.content;
  if (length !== undefined && (length.length !== 1 || (length[0] ?? 0x80) > 0x7f)) {
    throw new DerError('pathLenConstraint: out of range');
  }
  return { isCa, pathLength: length?.[0] };
}

function readKeyPurposes(extension: Extension | undefined): string[] | undefined {
  if (extension === undefined) return undefined;
  return readChildren(readDer(extension.value, tags.sequence).content).map((p) => readOid(p, 'key purpose'));
}

function splitTbs(tbs: DerValue): { readonly fields: readonly DerValue[]; readonly extensions: DerValue | undefined } {
  const all = readChildren(tbs.content);
  const version = expectTag(all[0], 0xa0, 'version'); // [0] EXPLICIT: absent means v1, which has no extensions
  if (readDer(version.content, tags.integer).content[0] !== 2) throw new DerError('version: not v3');
  return { fields: all.slice(1, 7), extensions: all.slice(7).find((f) => f.tag === 0xa3) };
}

/** Reads one certificate. @throws DerError for anything that is not one whole v3 certificate. */
export function readCertificate(der: Uint8Array): CertificateFields {
  if (der.length > maxCertificateBytes) throw new DerError(`larger than ${maxCertificateBytes} bytes`);
  const [tbs, algorithm, , ...more] = readChildren(readDer(der, tags.sequence).content);
  if (more.length > 0) throw new DerError('a certificate has three parts');
  const { fields, extensions } = splitTbs(expectTag(tbs, tags.sequence, 'tbsCertificate'));
  const [serial, innerAlgorithm, issuer, validity, subject, publicKey] = fields;
  const outer = expectTag(algorithm, tags.sequence, 'signatureAlgorithm');
  const inner = expectTag(innerAlgorithm, tags.sequence, 'signature');
  if (Buffer.compare(outer.whole, inner.whole) !== 0) throw new DerError('the two signature algorithms differ');
  const times = readChildren(expectTag(validity, tags.sequence, 'validity').content);
  const found = readExtensions(extensions);
  const known: readonly string[] = Object.values(oids);
  const subjectName = expectTag(subject, tags.sequence, 'subject');
  return {
    der,
    serial: Buffer.from(expectTag(serial, tags.integer, 'serialNumber').content).toString('hex'),
    notBeforeMs: readTime(times[0], 'notBefore'),
    notAfterMs: readTime(times[1], 'notAfter'),
    issuer: expectTag(issuer, tags.sequence, 'issuer').whole,
    subject: subjectName.whole,
    subjectIsEmpty: subjectName.content.length === 0,
    signatureAlgorithm: readOid(readChildren(outer.content)[0], 'signatureAlgorithm'),
    publicKeyInfo: expectTag(publicKey, tags.sequence, 'subjectPublicKeyInfo').whole,
    ...readAltNames(found.get(oids.subjectAltName)),
    subjectAltNameIsCritical: found.get(oids.subjectAltName)?.critical ?? false,
    ...readBasicConstraints(found.get(oids.basicConstraints)),
    keyUsage: readKeyUsage(found.get(oids.keyUsage)),
    extendedKeyUsage: readKeyPurposes(found.get(oids.extendedKeyUsage)),
    unknownCritical: [...found].flatMap(([oid, e]) => (e.critical && !known.includes(oid) ? [oid] : [])),
  };
}

const commonName = '2.5.4.3';
/** UTF8String, PrintableString, IA5String. */
const plainStrings: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16]);

/** The first common name in the DER of a Name that is said in a plain string. @throws DerError */
export function commonNameOf(name: Uint8Array): string | undefined {
  for (const set of readChildren(readDer(name, tags.sequence).content)) {
    for (const attribute of readChildren(set.content)) {
      const [type, value] = readChildren(expectTag(attribute, tags.sequence, 'attribute').content);
      if (value === undefined || !plainStrings.has(value.tag) || readOid(type, 'attribute') !== commonName) continue;
      return Buffer.from(value.content).toString('utf8');
    }
  }
  return undefined;
}
