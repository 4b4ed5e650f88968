/** x-request-id: a random UUID (version 4), written without a detour over numbers and dashes. */

const hex = '0123456789abcdef';
const byteText: readonly string[] = Array.from({ length: 256 }, (_, b) => `${hex[b >> 4]}${hex[b & 15]}`);

function word(n: number): string {
  return `${byteText[n >>> 24]}${byteText[(n >>> 16) & 255]}${byteText[(n >>> 8) & 255]}${byteText[n & 255]}`;
}

/** A UUID from the given source of [0, 1). Good for telling requests apart, not for secrets. */
export function requestId(random: () => number): string {
  const a = (random() * 0x1_0000_0000) >>> 0;
  const b = ((random() * 0x1_0000_0000) & 0xffff0fff) | 0x4000;
  const c = ((random() * 0x1_0000_0000) & 0x3fffffff) | 0x80000000;
  const d = (random() * 0x1_0000_0000) >>> 0;
  const bc = word(b);
  const cd = word(c);
  return `${word(a)}-${bc.slice(0, 4)}-${bc.slice(4)}-${cd.slice(0, 4)}-${cd.slice(4)}${word(d)}`;
}
