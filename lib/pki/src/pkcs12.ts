/**
 * @chainmail/pki/pkcs12: a key and its certificates as one password-protected PKCS#12 file (RFC 7292), for browsers
 * and key stores. node-forge derives keys and encrypts; the structure is written here, for its own writer knows RSA
 * keys only and ours are ECDSA. For meshctl, not for agents.
 */
import { UserError } from '@chainmail/runtime';
import forge from 'node-forge';
import { tags, writeDer, writeOid } from './der.ts';
import { readPem, readPemCertificates } from './pem.ts';

export interface Pkcs12Options {
  /** Leaf first; the root may be among them. */
  readonly chainPem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  /** At least 8 characters. */
  readonly password: string;
  /** The name a key store shows. */
  readonly friendlyName: string;
}

const oids = {
  data: '1.2.840.113549.1.7.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

const pbkdf2Rounds = 200_000;
/** The key derivation of RFC 7292 appendix B runs in JavaScript; the MAC protects integrity only. */
const macRounds = 4096;
const minPassword = 8;

const sequence = (...parts: readonly Uint8Array[]): Uint8Array => writeDer(tags.sequence, ...parts);
const octets = (bytes: Uint8Array): Uint8Array => writeDer(tags.octetString, bytes);
const explicit = (part: Uint8Array): Uint8Array => writeDer(0xa0, part);
const data = (content: Uint8Array): Uint8Array => sequence(writeOid(oids.data), explicit(octets(content)));
const toBinary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const fromBinary = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** Ties key and leaf together, and names them. */
function attributes(friendlyName: string): Uint8Array {
  const name = Buffer.from(friendlyName, 'utf16le').swap16(); // BMPString is big-endian
  return writeDer(
    tags.set,
    sequence(writeOid(oids.friendlyName), writeDer(tags.set, writeDer(0x1e, name))),
    sequence(writeOid(oids.localKeyId), writeDer(tags.set, octets(Uint8Array.of(1)))),
  );
}

function keyBag({ keyPem, password, friendlyName }: Pkcs12Options): Uint8Array {
  const [der] = readPem(keyPem, 'PRIVATE KEY');
  if (der === undefined) throw new UserError('PKCS12_NO_KEY', 'there is no PRIVATE KEY block to export');
  const encrypted = forge.pki.encryptPrivateKeyInfo(forge.asn1.fromDer(toBinary(der)), password, {
    algorithm: 'aes256',
    count: pbkdf2Rounds,
    saltSize: 16,
    prfAlgorithm: 'sha256',
  });
  const bytes = fromBinary(forge.asn1.toDer(encrypted).getBytes());
  return sequence(writeOid(oids.shroudedKeyBag), explicit(bytes), attributes(friendlyName));
}

function certificateBag(der: Uint8Array, own: readonly Uint8Array[]): Uint8Array {
  const bag = sequence(writeOid(oids.x509Certificate), explicit(octets(der)));
  return sequence(writeOid(oids.certificateBag), explicit(bag), ...own);
}

function macData(content: Uint8Array, password: string): Uint8Array {
  const salt = forge.random.getBytesSync(16);
  const digest = forge.md.sha256.create();
  const buffer = forge.util.createBuffer(salt);
  const key = forge.pkcs12.generateKey(password, buffer, 3, macRounds, 32, digest);
  const mac = forge.hmac.create();
  mac.start('sha256', key);
  mac.update(toBinary(content));
  const algorithm = sequence(writeOid(oids.sha256), Uint8Array.of(5, 0));
  const rounds = writeDer(tags.integer, Uint8Array.of(macRounds >> 8, macRounds & 0xff));
  return sequence(sequence(algorithm, octets(fromBinary(mac.digest().getBytes()))), octets(fromBinary(salt)), rounds);
}

/** The bytes of a `.p12` file. @throws UserError PKCS12_NO_KEY, PKCS12_NO_CERTIFICATE, PKCS12_PASSWORD */
export function exportPkcs12(options: Pkcs12Options): Uint8Array {
  const { chainPem, password, friendlyName } = options;
  if (password.length < minPassword) {
    throw new UserError('PKCS12_PASSWORD', `the password has less than ${minPassword} characters`);
  }
  const chain = readPemCertificates(chainPem);
  if (chain.length === 0) throw new UserError('PKCS12_NO_CERTIFICATE', 'there is no CERTIFICATE block to export');
  const bags = chain.map((der, i) => certificateBag(der, i === 0 ? [attributes(friendlyName)] : []));
  const safe = sequence(data(sequence(...bags)), data(sequence(keyBag(options))));
  return sequence(writeDer(tags.integer, Uint8Array.of(3)), data(safe), macData(safe, password));
}
