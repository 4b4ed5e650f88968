/**
 * The Huffman code of HPACK (RFC 7541 section 5.2, appendix B). It is canonical, so that the lengths alone define it.
 * Decoding looks at 12 bits at a time and takes up to two symbols in a step; longer codes, which header text hardly
 * has, are searched by length.
 */
import { valueByte } from '../http1/character-classes.ts';

/** Length in bits of the code of each byte, and of EOS (256). */
// biome-ignore format: a table
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5,
  6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
  23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23,
  21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22,
  23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
  21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const eos = 256;
const longestCode = 30;
const peekBits = 12;
const peekMask = (1 << peekBits) - 1;

const codes = new Uint32Array(257);
const codeBits: Uint8Array = Uint8Array.from(lengths);
/** Codes of one length are consecutive: the first of them, how many, and where their symbols stand in `symbols`. */
const firstCode = new Int32Array(longestCode + 1);
const codeCount = new Int32Array(longestCode + 1);
const symbolAt = new Int32Array(longestCode + 1);
const symbols = new Uint16Array(257);

/** Result of a peek: first | second << 8 | bits of the first << 16 | bits of all << 20 | count << 24 | bad << 26. */
const steps = new Int32Array(1 << peekBits);
const badMark = 1 << 26;

function assignCodes(): void {
  let code = 0;
  let placed = 0;
  for (let bits = 5; bits <= longestCode; bits++) {
    code <<= 1;
    firstCode[bits] = code;
    symbolAt[bits] = placed;
    for (let symbol = 0; symbol <= eos; symbol++) {
      if (lengths[symbol] !== bits) continue;
      codes[symbol] = code++;
      symbols[placed++] = symbol;
    }
    codeCount[bits] = placed - (symbolAt[bits] as number);
  }
}

/** The symbol whose code of at most `bits` bits begins the value of that many bits, or -1. */
function symbolOf(value: number, bits: number): number {
  for (let n = 5; n <= bits; n++) {
    const offset = (value >>> (bits - n)) - (firstCode[n] as number);
    if (offset >= 0 && offset < (codeCount[n] as number)) return symbols[(symbolAt[n] as number) + offset] as number;
  }
  return -1;
}

function fillSteps(): void {
  for (let peek = 0; peek <= peekMask; peek++) {
    const first = symbolOf(peek, peekBits);
    if (first < 0) continue;
    const bits = lengths[first] as number;
    const rest = peekBits - bits;
    const second = rest < 5 ? -1 : symbolOf(peek & ((1 << rest) - 1), rest);
    const bad = valueByte[first] === 0 || (second >= 0 && valueByte[second] === 0) ? badMark : 0;
    if (second < 0) steps[peek] = first | (bits << 16) | (bits << 20) | (1 << 24) | bad;
    else
      steps[peek] =
        first | (second << 8) | (bits << 16) | ((bits + (lengths[second] as number)) << 20) | (2 << 24) | bad;
  }
}

assignCodes();
fillSteps();

/** The symbol whose code begins at a bit position; -1 when there is none, it does not end within the bytes, or is EOS. */
function longSymbol(b: Uint8Array, start: number, end: number, from: number): number {
  const at = start + (from >>> 3);
  let value = 0;
  for (let i = 0; i < 4; i++) value = (value << 8) | (at + i < end ? (b[at + i] as number) : 0);
  value = (value << (from & 7)) | ((at + 4 < end ? (b[at + 4] as number) : 0) >>> (8 - (from & 7)));
  const symbol = symbolOf(value >>> (32 - longestCode), longestCode);
  const left = (end - start) * 8 - from;
  return symbol < 0 || symbol === eos || (codeBits[symbol] as number) > left ? -1 : symbol;
}

/** An upper bound of the bytes that `length` encoded bytes become; the decoder may write one byte beyond the text. */
export function decodedBound(length: number): number {
  return length * 2 + 2;
}

/** Whether the text of the last huffmanDecode has a byte that no field value may have. */
export let lastDecodeBad = false;

/**
 * Decodes [start, end) to `to` from `at` on, which must have room for decodedBound. Where the text ends, or -1 when the
 * code is broken: EOS, a code that ends too early, or a padding that is not the beginning of EOS (RFC 7541 5.2).
 */
export function huffmanDecode(b: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  let p = start;
  let o = at;
  let acc = 0;
  let bits = 0;
  let seen = 0;
  for (;;) {
    if (bits < peekBits) {
      if (p + 1 < end) {
        acc = (acc << 16) | ((b[p] as number) << 8) | (b[p + 1] as number);
        p += 2;
        bits += 16;
      } else if (p < end) {
        acc = (acc << 8) | (b[p++] as number);
        bits += 8;
        if (bits < peekBits) break;
      } else break;
    }
    const step = steps[(acc >>> (bits - peekBits)) & peekMask] as number;
    if (step === 0) {
      const from = (p - start) * 8 - bits;
      const symbol = longSymbol(b, start, end, from);
      if (symbol < 0) return -1;
      to[o++] = symbol;
      if (valueByte[symbol] === 0) seen |= badMark;
      const next = from + (codeBits[symbol] as number);
      p = start + (next >>> 3);
      bits = 0;
      if ((next & 7) !== 0) {
        acc = b[p++] as number;
        bits = 8 - (next & 7);
      }
      continue;
    }
    seen |= step;
    to[o] = step & 255;
    to[o + 1] = (step >>> 8) & 255;
    o += (step >>> 24) & 3;
    bits -= (step >>> 20) & 15;
  }
  while (bits >= 5) {
    const step = steps[((acc << (peekBits - bits)) & peekMask) | ((1 << (peekBits - bits)) - 1)] as number;
    const first = (step >>> 16) & 15;
    if (step === 0 || first > bits) break;
    to[o++] = step & 255;
    if (valueByte[step & 255] === 0) seen |= badMark;
    bits -= first;
  }
  lastDecodeBad = (seen & badMark) !== 0;
  if (bits > 7) return -1;
  const padding = (1 << bits) - 1;
  return (acc & padding) === padding ? o : -1;
}

/** Bytes that [start, end) would be encoded in. */
export function huffmanLength(b: DataView, start: number, end: number): number {
  let bits = 0;
  for (let i = start; i < end; i++) bits += codeBits[b.getUint8(i)] as number;
  return (bits + 7) >>> 3;
}

/** Encodes [start, end) to `to` from `at` on; where it ends. */
export function huffmanEncode(b: DataView, start: number, end: number, to: DataView, at: number): number {
  let o = at;
  let acc = 0;
  let bits = 0;
  for (let i = start; i < end; i++) {
    const symbol = b.getUint8(i);
    const code = codes[symbol] as number;
    let left = codeBits[symbol] as number;
    // At most 7 bits wait in acc: a code goes in by parts of at most 24 bits.
    if (left > 24) {
      left -= 24;
      acc = (acc << left) | (code >>> 24);
      bits += left;
      while (bits >= 8) to.setUint8(o++, acc >>> (bits -= 8));
      left = 24;
    }
    acc = (acc << left) | (code & (0xffffff >>> (24 - left)));
    bits += left;
    while (bits >= 8) to.setUint8(o++, acc >>> (bits -= 8));
  }
  if (bits > 0) to.setUint8(o++, (acc << (8 - bits)) | (0xff >>> bits));
  return o;
}
