/**
 * A ring of log lines in shared memory, one writer (a worker) and one reader (the main thread). A line is written where
 * it will be read, never split, and seen by the reader only when it is whole. A full ring refuses: nobody ever waits.
 */

/** Lines are never longer: the ring keeps this much free in one piece before it takes one. */
export const maxLineBytes = 32_768;
export const defaultRingBytes = 524_288;

const controlBytes = 64;
const headerBytes = 8;
/** Positions, counted in bytes for ever and cut to 32 bits: [0] the reader's, [8] the writer's, on separate cache lines. */
const readAt = 0;
const writtenAt = 8;
/** Stands for a length: go on at the start of the ring. */
const skip = 0xffff_ffff;

/** capacity: a power of two, at least 4 lines. */
export function createRing(capacity = defaultRingBytes): SharedArrayBuffer {
  if (capacity < 4 * maxLineBytes || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError(`log ring: ${capacity} bytes is no power of two of at least ${4 * maxLineBytes}`);
  }
  return new SharedArrayBuffer(controlBytes + capacity);
}

interface Views {
  readonly control: Int32Array;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly capacity: number;
}

function viewsOf(ring: SharedArrayBuffer): Views {
  const capacity = ring.byteLength - controlBytes;
  return {
    control: new Int32Array(ring, 0, controlBytes / 4),
    words: new Uint32Array(ring, controlBytes),
    bytes: new Uint8Array(ring, controlBytes),
    capacity,
  };
}

export class RingWriter {
  readonly bytes: Uint8Array;
  readonly #views: Views;
  #written: number;
  /** The reader's position as last seen; looked up again only when the ring seems full, or half full. */
  #read: number;
  readonly #onHalfFull: () => void;
  /** The reader's position when it was last asked to read: once for each. */
  #askedAt = -1;

  /** onHalfFull: the reader should come now, not when its time has come. Heard once for each position of the reader. */
  constructor(ring: SharedArrayBuffer, onHalfFull: () => void = () => {}) {
    this.#views = viewsOf(ring);
    this.#onHalfFull = onHalfFull;
    this.bytes = this.#views.bytes;
    this.#written = Atomics.load(this.#views.control, writtenAt) >>> 0;
    this.#read = Atomics.load(this.#views.control, readAt) >>> 0;
  }

  /** Where in `bytes` a line of up to maxLineBytes may be written, or -1 when the ring is full. */
  reserve(): number {
    const { capacity, words } = this.#views;
    let offset = this.#written & (capacity - 1);
    if (offset + headerBytes + maxLineBytes > capacity) {
      if (!this.#free(capacity - offset + headerBytes + maxLineBytes)) return -1;
      words[offset >>> 2] = skip;
      this.#written = (this.#written + capacity - offset) >>> 0;
      offset = 0;
    } else if (!this.#free(headerBytes + maxLineBytes)) return -1;
    return offset + headerBytes;
  }

  /** Publishes the line written at the last reserve(), which ended before `end`; tag travels with it. */
  commit(end: number, tag: number): void {
    const { capacity, words, control } = this.#views;
    const offset = this.#written & (capacity - 1);
    const length = end - offset - headerBytes;
    words[offset >>> 2] = length;
    words[(offset >>> 2) + 1] = tag;
    this.#written = (this.#written + headerBytes + ((length + 7) & ~7)) >>> 0;
    Atomics.store(control, writtenAt, this.#written | 0);
    if (this.#used > capacity >>> 1) this.#ask();
  }

  get #used(): number {
    return (this.#written - this.#read) >>> 0;
  }

  #ask(): void {
    const { capacity, control } = this.#views;
    this.#read = Atomics.load(control, readAt) >>> 0;
    if (this.#used <= capacity >>> 1 || this.#askedAt === this.#read) return;
    this.#askedAt = this.#read;
    this.#onHalfFull();
  }

  #free(needed: number): boolean {
    const { capacity, control } = this.#views;
    if (capacity - this.#used >= needed) return true;
    this.#read = Atomics.load(control, readAt) >>> 0;
    return capacity - this.#used >= needed;
  }
}

export class RingReader {
  readonly #views: Views;
  #read: number;

  constructor(ring: SharedArrayBuffer) {
    this.#views = viewsOf(ring);
    this.#read = Atomics.load(this.#views.control, readAt) >>> 0;
  }

  /** Hands out every line that is there, as a range of `bytes` that is only valid during the call. Returns how many. */
  drain(each: (tag: number, bytes: Uint8Array, start: number, end: number) => void): number {
    const { control, words, bytes, capacity } = this.#views;
    const written = Atomics.load(control, writtenAt) >>> 0;
    let lines = 0;
    while (this.#read !== written) {
      const offset = this.#read & (capacity - 1);
      const length = words[offset >>> 2] ?? skip;
      if (length === skip) {
        this.#read = (this.#read + capacity - offset) >>> 0;
        continue;
      }
      const start = offset + headerBytes;
      each(words[(offset >>> 2) + 1] ?? 0, bytes, start, start + length);
      this.#read = (this.#read + headerBytes + ((length + 7) & ~7)) >>> 0;
      lines++;
    }
    Atomics.store(control, readAt, this.#read | 0);
    return lines;
  }
}
