/** SHA-2 and SHA-1 by OpenSSL: node:crypto costs a worker 0.6 MB. */
import { addressOf } from './ffi.ts';
import * as ssl from './openssl.ts';

export function sha256(data: Uint8Array): Buffer {
  const digest = Buffer.alloc(32);
  ssl.sha256(addressOf(data), BigInt(data.length), addressOf(digest));
  return digest;
}

/** For the handshake of WebSocket, which knows no other; not for secrets. */
export function sha1(data: Uint8Array): Buffer {
  const digest = Buffer.alloc(20);
  ssl.sha1(addressOf(data), BigInt(data.length), addressOf(digest));
  return digest;
}
