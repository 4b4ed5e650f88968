/** x-request-id: a random UUID (version 4), written as bytes into the head: no string is made for it. */
import { hexDigits } from '../http1/character-classes.ts';
import { type Head, staticHeader } from '../http1/head.ts';

/** Without an identity: its bytes are written over. */
const blank = { ...staticHeader('x-request-id', '00000000-0000-4000-8000-000000000000'), id: 0 };

/** Eight digits from `at` on, with the dashes that a UUID has among them; the position after them. */
function writeWord(to: Uint8Array, at: number, word: number, dashBefore: boolean, dashInside: boolean): number {
  let p = dashBefore ? at + 1 : at;
  for (let shift = 28; shift >= 0; shift -= 4) {
    if (dashInside && shift === 12) p++;
    to[p++] = hexDigits[(word >>> shift) & 15] as number;
  }
  return p;
}

/** Sets an id from the given source of [0, 1) in place of those that are there. Good for telling requests apart, not for secrets. */
export function setRequestId(head: Head, random: () => number): void {
  head.setLine(blank);
  const to = head.bytes;
  let p = head.used - 38; // the value and CRLF
  p = writeWord(to, p, (random() * 0x1_0000_0000) >>> 0, false, false);
  p = writeWord(to, p, ((random() * 0x1_0000_0000) & 0xffff0fff) | 0x4000, true, true);
  p = writeWord(to, p, ((random() * 0x1_0000_0000) & 0x3fffffff) | 0x80000000, true, true);
  writeWord(to, p, (random() * 0x1_0000_0000) >>> 0, false, false);
}
