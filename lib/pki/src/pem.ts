/** PEM (RFC 7468) to DER and back. Invariant: text that is not wholly well-formed blocks of the label gives an error. */

export class PemError extends Error {}

/** The blocks of one label in order; text between blocks is allowed, other labels are passed over. @throws PemError */
export function readPem(text: string, label: string, maxBytes = 1024 * 1024): Uint8Array[] {
  if (text.length > maxBytes) throw new PemError(`larger than ${maxBytes} bytes`);
  const found: Uint8Array[] = [];
  const block = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END ([A-Z0-9 ]+)-----/g;
  for (const [, begin, body = '', end] of text.matchAll(block)) {
    if (begin !== end) throw new PemError(`BEGIN ${begin} ends with END ${end}`);
    if (begin !== label) continue;
    const base64 = body.replace(/\s+/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0) {
      throw new PemError(`block ${found.length + 1} of ${label} is not base64`);
    }
    found.push(Buffer.from(base64, 'base64'));
  }
  const begun = text.split(`-----BEGIN ${label}-----`).length - 1;
  if (begun !== found.length) throw new PemError(`a block of ${label} has no end`);
  return found;
}

/** Certificates of a PEM text in order. @throws PemError */
export function readPemCertificates(text: string): Uint8Array[] {
  return readPem(text, 'CERTIFICATE');
}

/** One block, 64 characters a line. */
export function writePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
