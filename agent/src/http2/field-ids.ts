/**
 * One id for one header line, whichever connection it came on: 64 clients that send the same line give it the same id,
 * and whoever keeps something by id (the encoder towards an upstream, what was judged about a path) finds it for all of
 * them. Invariant: equal ids mean equal lines, names and tokens; equal lines usually, not always, have equal ids, since
 * only so many are remembered.
 */
import { newFieldId } from '../http1/head.ts';
import { copyWords, equalWords, hashWords, slack, viewOf } from '../http1/words.ts';

/** Lines that are remembered, and the longest: 32 KiB a worker, written to as far as it has lines. */
const slots = 256;
const longest = 120;
const stride = longest + slack;

const lines: DataView = viewOf(new Uint8Array(slots * stride));
const hashes = new Int32Array(slots);
/** Length of the line, of its name, and its token. */
const shapes = new Int32Array(slots * 3);
const ids = new Float64Array(slots);

/** The id of the line [at, at + length) with a name of so many bytes; `token` is what the name is known as. */
export function fieldIdOf(b: DataView, at: number, length: number, nameLength: number, token: number): number {
  if (length > longest) return newFieldId();
  const hash = hashWords(b, at, at + length, nameLength);
  const slot = hash & (slots - 1);
  const shape = slot * 3;
  const line = slot * stride;
  const isSame =
    hashes[slot] === hash &&
    shapes[shape] === length &&
    shapes[shape + 1] === nameLength &&
    shapes[shape + 2] === token &&
    equalWords(lines, line, b, at, length);
  if (isSame) return ids[slot] as number;
  hashes[slot] = hash;
  shapes[shape] = length;
  shapes[shape + 1] = nameLength;
  shapes[shape + 2] = token;
  copyWords(b, at, lines, line, length);
  const id = newFieldId();
  ids[slot] = id;
  return id;
}
