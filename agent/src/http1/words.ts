/**
 * Short ranges of bytes eight or four at a time: a loop over bytes costs V8 a bounds check for each, and a native call
 * costs more than a header line is long. The optimising compiler makes plain loads and stores of these.
 * Invariant: `slack` bytes behind every range may be read, and behind a destination written.
 */

/** What copyWords may touch beyond the end of its ranges. */
export const slack = 8;

/** Copies length bytes; up to seven behind the destination are overwritten. */
export function copyWords(from: DataView, at: number, to: DataView, o: number, length: number): void {
  for (let i = 0; i < length; i += 8) to.setBigUint64(o + i, from.getBigUint64(at + i, true), true);
}

/** Folds [start, end) into a hash. Not for attackers' eyes alone: whoever finds by it compares the bytes as well. */
export function hashWords(b: DataView, start: number, end: number, seed: number): number {
  let hash = seed ^ (end - start);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ b.getInt32(i, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  let tail = 0;
  for (; i < end; i++) tail = (tail << 8) | b.getUint8(i);
  hash = Math.imul(hash ^ tail, 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

export function equalWords(a: DataView, at: number, b: DataView, from: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (a.getInt32(at + i) !== b.getInt32(from + i)) return false;
  for (; i < length; i++) if (a.getUint8(at + i) !== b.getUint8(from + i)) return false;
  return true;
}

/**
 * Whether [start, end) may have a byte below 32 or 127, four at a time: false is certain; true asks for a closer look,
 * since a tab is one of them.
 */
export function mayHaveControls(b: DataView, start: number, end: number): boolean {
  let found = 0;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const v = b.getInt32(i);
    const del = v ^ 0x7f7f7f7f;
    found |= ((v - 0x20202020) & ~v) | ((del - 0x01010101) & ~del);
  }
  for (; i < end; i++) {
    const c = b.getUint8(i);
    if (c < 32 || c === 127) return true;
  }
  return (found & 0x80808080) !== 0;
}

/** A text in latin1, with slack behind it. */
export function padded(text: string): Buffer {
  return Buffer.from(text.padEnd(text.length + slack), 'latin1');
}

/** A view of the whole of a buffer. */
export function viewOf(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength);
}
