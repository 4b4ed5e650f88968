/**
 * grpc-message: percent-encoded UTF-8 (gRPC over HTTP/2, "Responses"). Encoding leaves printable ASCII but `%` as it is;
 * decoding never fails, as the specification asks: what is no escape stands for itself.
 */

const plain = /^[\x20-\x24\x26-\x7e]*$/;
const hex = '0123456789ABCDEF';

export function encodeGrpcMessage(text: string): string {
  if (plain.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) encoded += String.fromCharCode(byte);
    else encoded += `%${hex[byte >> 4]}${hex[byte & 15]}`;
  }
  return encoded;
}

export function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const pair = text.slice(i + 1, i + 3);
    if (text[i] === '%' && /^[0-9a-fA-F]{2}$/.test(pair)) {
      bytes.push(Number.parseInt(pair, 16));
      i += 2;
    } else bytes.push(text.charCodeAt(i) & 0xff);
  }
  return Buffer.from(bytes).toString();
}
