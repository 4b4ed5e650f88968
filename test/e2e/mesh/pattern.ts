/** Bytes that differ at every offset a buffer could be cut at, so that a lost, doubled or swapped piece is seen. */
import { createHash } from 'node:crypto';

const period = 65_521; // a prime: no buffer size divides it
const block = Buffer.alloc(2 * period + 65_536);
for (let i = 0; i < block.length; i++) block[i] = ((i % period) * 31 + ((i % period) >> 8)) & 0xff;

/** The bytes of the pattern from an offset on; up to 64 KiB. */
export const fill = (offset: number, length: number): Buffer =>
  block.subarray(offset % period, (offset % period) + length);

export function patternDigest(bytes: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes; at += 65_536) hash.update(fill(at, Math.min(65_536, bytes - at)));
  return hash.digest('hex');
}
