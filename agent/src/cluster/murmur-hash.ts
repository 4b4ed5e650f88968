/** MurmurHash2 of 64 bits with libstdc++'s seed, as `std::hash<std::string>`: for rings that an older fleet has agreed on. */

const mask = 0xffff_ffff_ffff_ffffn;
const multiplier = 0xc6a4a7935bd1e995n;
const seed = 0xc70f6907n;

const mixed = (value: bigint): bigint => value ^ (value >> 47n);
const times = (value: bigint): bigint => (value * multiplier) & mask;

/** Hash of the text's bytes (one for each character, as header values are held). */
export function murmurHash2(text: string): bigint {
  const bytes = Buffer.from(text, 'latin1');
  let hash = seed ^ times(BigInt(bytes.length));
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = times(hash ^ times(mixed(times(bytes.readBigUInt64LE(at)))));
  }
  if (at < bytes.length) {
    let rest = 0n;
    for (let i = bytes.length - 1; i >= at; i--) rest = (rest << 8n) | BigInt(bytes[i] as number);
    hash = times(hash ^ rest);
  }
  return mixed(times(mixed(hash)));
}
