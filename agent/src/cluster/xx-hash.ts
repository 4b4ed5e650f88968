/** xxHash64, the hash by which Envoy places hosts and requests on rings and in Maglev tables. */

const mask = 0xffff_ffff_ffff_ffffn;
const prime1 = 0x9e3779b185ebca87n;
const prime2 = 0xc2b2ae3d27d4eb4fn;
const prime3 = 0x165667b19e3779f9n;
const prime4 = 0x85ebca77c2b2ae63n;
const prime5 = 0x27d4eb2f165667c5n;

const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & mask;
const round = (sum: bigint, lane: bigint): bigint => (rotate((sum + lane * prime2) & mask, 31n) * prime1) & mask;
const merge = (hash: bigint, sum: bigint): bigint => ((hash ^ round(0n, sum)) * prime1 + prime4) & mask;

/** Hash of the text's bytes (one for each character, as header values are held). */
export function xxHash64(text: string, seed = 0n): bigint {
  const bytes = Buffer.from(text, 'latin1');
  const { length } = bytes;
  let at = 0;
  let hash: bigint;
  if (length >= 32) {
    const sums = [seed + prime1 + prime2, seed + prime2, seed, seed - prime1].map((n) => BigInt.asUintN(64, n));
    for (; at + 32 <= length; at += 32) {
      for (let lane = 0; lane < 4; lane++) sums[lane] = round(sums[lane] ?? 0n, bytes.readBigUInt64LE(at + 8 * lane));
    }
    const [a = 0n, b = 0n, c = 0n, d = 0n] = sums;
    hash = (rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n)) & mask;
    for (const sum of sums) hash = merge(hash, sum);
  } else {
    hash = (seed + prime5) & mask;
  }
  return finish((hash + BigInt(length)) & mask, bytes, at);
}

function finish(start: bigint, bytes: Buffer, from: number): bigint {
  let hash = start;
  let at = from;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * prime1 + prime4) & mask;
  }
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * prime1) & mask), 23n) * prime2 + prime3) & mask;
    at += 4;
  }
  for (; at < bytes.length; at++)
    hash = (rotate(hash ^ ((BigInt(bytes[at] ?? 0) * prime5) & mask), 11n) * prime1) & mask;
  hash = ((hash ^ (hash >> 33n)) * prime2) & mask;
  hash = ((hash ^ (hash >> 29n)) * prime3) & mask;
  return hash ^ (hash >> 32n);
}
