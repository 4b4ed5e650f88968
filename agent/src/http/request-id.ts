/** x-request-id: a random UUID (version 4), written as bytes into the head: no string is made for it. */
import { hexDigits } from '../http1/character-classes.ts';
import { type Head, staticHeader } from '../http1/head.ts';

/** Without an identity: its bytes are written over. */
const blank = { ...staticHeader('x-request-id', '00000000-0000-4000-8000-000000000000'), id: 0 };

/** The two digits of each byte as one number, so that a digit is not a store of its own. */
const digitPairs: Uint16Array = Uint16Array.from(
  { length: 256 },
  (_, byte) => ((hexDigits[byte >>> 4] as number) << 8) | (hexDigits[byte & 15] as number),
);

/** Four digits of a word at `high` and four at `low`. */
function writeWord(to: DataView, high: number, low: number, word: number): void {
  to.setUint16(high, digitPairs[word >>> 24] as number);
  to.setUint16(high + 2, digitPairs[(word >>> 16) & 255] as number);
  to.setUint16(low, digitPairs[(word >>> 8) & 255] as number);
  to.setUint16(low + 2, digitPairs[word & 255] as number);
}

/** Sets an id from the given source of [0, 1) in place of those that are there. Good for telling requests apart, not for secrets. */
export function setRequestId(head: Head, random: () => number): void {
  head.setLine(blank);
  const to = head.view;
  const p = head.used - 38; // the value and CRLF
  writeWord(to, p, p + 4, random() * 0x1_0000_0000);
  writeWord(to, p + 9, p + 14, ((random() * 0x1_0000_0000) & 0xffff0fff) | 0x4000);
  writeWord(to, p + 19, p + 24, ((random() * 0x1_0000_0000) & 0x3fffffff) | 0x80000000);
  writeWord(to, p + 28, p + 32, random() * 0x1_0000_0000);
}
