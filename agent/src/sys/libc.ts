/** System calls in the fast form, and errno of this thread. Results below 0 mean: look at errno() at once. */
import { addressOf, bindInt, bindPointer, nativeView } from './ffi.ts';
import { endWithCompilerAtRest } from './thread-end.ts';

endWithCompilerAtRest();

export const read = bindInt('read', 3);
export const write = bindInt('write', 3);
export const recv = bindInt('recv', 4);
export const send = bindInt('send', 4);
export const close = bindInt('close', 2);
export const socket = bindInt('socket', 3);
export const socketpair = bindInt('socketpair', 4);
export const inetPton = bindInt('inet_pton', 3);
export const bind = bindInt('bind', 3);
export const listen = bindInt('listen', 2);
export const accept4 = bindInt('accept4', 4);
export const connect = bindInt('connect', 3);
export const shutdown = bindInt('shutdown', 2);
export const setsockopt = bindInt('setsockopt', 5);
export const getsockopt = bindInt('getsockopt', 5);
export const ioctl = bindInt('ioctl', 3);
export const getsockname = bindInt('getsockname', 3);
export const getpeername = bindInt('getpeername', 3);
export const epollCreate = bindInt('epoll_create1', 2);
export const epollCtl = bindInt('epoll_ctl', 4);
export const epollWait = bindInt('epoll_wait', 4);
export const eventfd = bindInt('eventfd', 2);
export const madvise = bindInt('madvise', 3);

const clockGettime = bindInt('clock_gettime', 2);
/** struct timespec: seconds and nanoseconds, of which the upper halves are empty. */
const timespec = new Uint32Array(4);
const timespecAddress = addressOf(timespec);
const clockMonotonic = 1n;

/** Milliseconds since the machine has started. A worker that asks `performance` loads 0.2 MB of modules first. */
export function monotonicMs(): number {
  clockGettime(clockMonotonic, timespecAddress);
  return (timespec[0] as number) * 1000 + (timespec[2] as number) / 1e6;
}

const smallBigints: bigint[] = new Array(4096);

function remember(n: number): bigint {
  smallBigints[n] = BigInt(n);
  return smallBigints[n];
}

/** A number as a native argument: making a bigint allocates, and most lengths are small. */
export function big(n: number): bigint {
  return n < 4096 ? (smallBigints[n] ?? remember(n)) : BigInt(n);
}

const errnoWord = new Int32Array(nativeView(bindPointer('__errno_location', 2)(0n, 0n), 4));

/** errno of the last failed call on this thread. */
export function errno(): number {
  return errnoWord[0] ?? 0;
}

export const errnos = {
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  EADDRINUSE: 98,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

const texts: Readonly<Record<number, string>> = {
  1: 'operation not permitted',
  13: 'permission denied',
  12: 'out of memory',
  23: 'too many open files in the system',
  24: 'too many open files',
  32: 'broken pipe',
  98: 'address already in use',
  99: 'address not available',
  101: 'network is unreachable',
  103: 'connection aborted',
  104: 'connection reset by peer',
  105: 'no buffer space',
  110: 'connection timed out',
  111: 'connection refused',
  113: 'no route to host',
};

/** What an errno means, for people. */
export function errnoText(code: number): string {
  return texts[code] ?? `errno ${code}`;
}

export const epoll = {
  in: 0x1,
  out: 0x4,
  err: 0x8,
  hup: 0x10,
  rdhup: 0x2000,
  edge: -0x80000000,
  add: 1n,
  del: 2n,
  mod: 3n,
} as const;

const hugePage = 2 * 1024 * 1024;
const pageMask = 4095n;
const adviceNoHugePage = 15n;

/**
 * A buffer that system calls read from or write to, with its addresses at hand.
 * Invariant: at() is only asked for offsets inside the buffer; span() is where lengths are held against the capacity.
 */
export class Region {
  readonly buffer: Buffer;
  readonly #base: bigint;
  readonly #near: readonly bigint[];
  readonly #nearStart: number;

  /**
   * nearStart: the offset around which most calls happen; addresses after it are computed once. buffer: a part of another
   * region's, of that length.
   */
  constructor(bytes: number, nearStart = 0, buffer: Buffer = Buffer.alloc(bytes)) {
    this.buffer = buffer;
    this.#base = addressOf(this.buffer);
    // Most of a large region is never touched; a huge page would make memory of it all the same.
    if (bytes >= hugePage) madvise((this.#base + pageMask) & ~pageMask, BigInt(bytes) - pageMask, adviceNoHugePage);
    this.#nearStart = nearStart;
    this.#near = Array.from(
      { length: Math.min(4096, bytes - nearStart) },
      (_, i) => this.#base + BigInt(nearStart + i),
    );
  }

  /** A part of it as a region of its own, without addresses at hand. */
  part(offset: number, bytes: number): Region {
    return new Region(bytes, bytes, this.buffer.subarray(offset, offset + bytes));
  }

  at(offset: number): bigint {
    const index = offset - this.#nearStart;
    if (index >= 0 && index < this.#near.length) return this.#near[index] ?? 0n;
    return this.#base + BigInt(offset);
  }

  /** Address of [offset, offset + length), refused unless it lies inside. */
  span(offset: number, length: number): bigint {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.buffer.length)) {
      throw new RangeError(`[${offset}, +${length}) is outside a region of ${this.buffer.length} bytes`);
    }
    return this.at(offset);
  }
}
