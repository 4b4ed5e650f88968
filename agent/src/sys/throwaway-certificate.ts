/** A self-signed certificate with its key, made for the self-test and forgotten after it. Never used for traffic. */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { OwnCertificate } from './tls-context.ts';

const tags = {
  integer: 0x02,
  bitString: 0x03,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const ecdsaSha256 = der(tags.sequence, der(tags.oid, Buffer.from('2a8648ce3d040302', 'hex')));
const commonName = der(tags.oid, Buffer.from('550403', 'hex'));
const name = der(
  tags.sequence,
  der(tags.set, der(tags.sequence, commonName, der(tags.utf8, Buffer.from('chainmail self-test')))),
);

function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return der(tags.utcTime, Buffer.from(`${text}Z`));
}

/** Valid for an hour around now; P-256. */
export function throwawayCertificate(nowMs: number): OwnCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = der(tags.sequence, utcTime(nowMs - 1_800_000), utcTime(nowMs + 1_800_000));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const serial = der(tags.integer, Buffer.from([1]));
  const tbs = der(tags.sequence, serial, ecdsaSha256, name, validity, name, spki);
  const signature = der(tags.bitString, Buffer.from([0]), sign('sha256', tbs, privateKey));
  const whole = der(tags.sequence, tbs, ecdsaSha256, signature);
  const base64 = whole.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    chainPem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
