/**
 * A ring of log lines in shared memory, one writer (a worker) and one reader (the main thread). Lines are written where
 * they will be read, never split. Lines with one tag that follow each other make a run, with nothing between them, so
 * that the reader takes a turn's lines in one piece; a run is seen by the reader when it is published, whole. A full
 * ring refuses: nobody ever waits.
 */

/** Lines are never longer: the ring keeps this much free in one piece before it takes one. */
export const maxLineBytes = 32_768;
export const defaultRingBytes = 524_288;

/**
 * A run that would begin behind this goes to the start when everything before it has been read: as long as traffic is
 * calm the rest of the ring is never touched, and costs no memory.
 */
export const calmBytes = 131_072;

const controlBytes = 64;
/** Before each run: its length in bytes, then tag and number of lines in 16 bits each. */
const headerBytes = 8;
export const maxTag = 0xffff;
const maxRunLines = 0xffff;
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
  readonly #onHalfFull: () => void;
  /** With more than this unread the reader is asked: half of the ring, or of what is left before a run that went to the start. */
  #askAbove: number;
  /** Where the run begins that is being written, or would begin. */
  #begun: number;
  /** Bytes of its lines. */
  #length = 0;
  #lines = 0;
  #tag = 0;
  /** The reader's position as last seen; looked up again only when the ring seems full, or half full. */
  #read: number;
  /** The reader's position when it was last asked to read: once for each. */
  #askedAt = -1;

  /** onHalfFull: the reader should come now, not when its time has come. Heard once for each position of the reader. */
  constructor(ring: SharedArrayBuffer, onHalfFull: () => void = () => {}) {
    this.#views = viewsOf(ring);
    this.#onHalfFull = onHalfFull;
    this.#askAbove = this.#views.capacity >>> 1;
    this.bytes = this.#views.bytes;
    this.#begun = Atomics.load(this.#views.control, writtenAt) >>> 0;
    this.#read = Atomics.load(this.#views.control, readAt) >>> 0;
  }

  /**
   * Where in `bytes` a line of up to maxLineBytes may be written, or -1 when the ring is full.
   * tag: travels with the line, 0 to maxTag.
   */
  reserve(tag: number): number {
    if (this.#lines > 0 && (tag !== this.#tag || this.#lines === maxRunLines)) this.publish();
    const { capacity } = this.#views;
    if (this.#lines === 0 && (this.#begun & (capacity - 1)) >= calmBytes) this.#restart();
    let start = (this.#begun & (capacity - 1)) + headerBytes + this.#length;
    if (start + maxLineBytes > capacity) {
      this.publish();
      if (!this.#toStart()) return -1;
      start = headerBytes;
    } else if (!this.#free(headerBytes + this.#length + maxLineBytes)) return -1;
    this.#tag = tag;
    return start;
  }

  /** The line written at the last reserve() ended before `end`. */
  commit(end: number): void {
    const { capacity } = this.#views;
    this.#length = end - (this.#begun & (capacity - 1)) - headerBytes;
    this.#lines++;
    if (this.#used() > this.#askAbove) {
      this.publish();
      this.#ask();
    }
  }

  /** Shows the reader all that was committed; to be called when no more lines are to be expected for a moment. */
  publish(): void {
    if (this.#lines === 0) return;
    const { capacity, words, control } = this.#views;
    const at = (this.#begun & (capacity - 1)) >>> 2;
    words[at] = this.#length;
    words[at + 1] = (this.#tag << 16) | this.#lines;
    this.#begun = (this.#begun + headerBytes + ((this.#length + 7) & ~7)) >>> 0;
    this.#length = this.#lines = 0;
    Atomics.store(control, writtenAt, this.#begun | 0);
  }

  /** Goes to the start when there is nothing unread; what is left out counts as used until the reader comes by. */
  #restart(): void {
    const { capacity, control } = this.#views;
    this.#read = Atomics.load(control, readAt) >>> 0;
    if (this.#read !== this.#begun) return;
    const offset = this.#begun & (capacity - 1);
    if (this.#toStart()) this.#askAbove = capacity - (offset >>> 1);
  }

  /** Leaves out what is left before the end of the ring. False when there is no room for a line at its start. */
  #toStart(): boolean {
    const { capacity, words } = this.#views;
    const offset = this.#begun & (capacity - 1);
    const left = offset === 0 ? 0 : capacity - offset;
    if (!this.#free(left + headerBytes + maxLineBytes)) return false;
    if (left > 0) words[offset >>> 2] = skip;
    this.#begun = (this.#begun + left) >>> 0;
    return true;
  }

  /** Bytes that the reader has not read, with what is not published. */
  #used(): number {
    return (this.#begun + this.#length - this.#read) >>> 0;
  }

  #ask(): void {
    const { capacity, control } = this.#views;
    const before = this.#read;
    this.#read = Atomics.load(control, readAt) >>> 0;
    if (this.#read !== before) this.#askAbove = capacity >>> 1;
    if (this.#used() <= this.#askAbove || this.#askedAt === this.#read) return;
    this.#askedAt = this.#read;
    this.#onHalfFull();
  }

  /** Whether so many bytes from where the run begins are free. */
  #free(needed: number): boolean {
    const { capacity, control } = this.#views;
    if (capacity - ((this.#begun - this.#read) >>> 0) >= needed) return true;
    this.#read = Atomics.load(control, readAt) >>> 0;
    return capacity - ((this.#begun - this.#read) >>> 0) >= needed;
  }
}

/** Hears of one run: lines of one tag as a range of `bytes`, which is only valid during the call. */
export type RunReader = (tag: number, bytes: Uint8Array, start: number, end: number, lines: number) => void;

export class RingReader {
  readonly #views: Views;
  #read: number;

  constructor(ring: SharedArrayBuffer) {
    this.#views = viewsOf(ring);
    this.#read = Atomics.load(this.#views.control, readAt) >>> 0;
  }

  /** Hands out every run that is there. Returns how many lines they had. */
  drain(each: RunReader): number {
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
      const about = words[(offset >>> 2) + 1] ?? 0;
      each(about >>> 16, bytes, start, start + length, about & 0xffff);
      this.#read = (this.#read + headerBytes + ((length + 7) & ~7)) >>> 0;
      lines += about & 0xffff;
    }
    Atomics.store(control, readAt, this.#read | 0);
    return lines;
  }
}
