/**
 * Bytes that a socket did not take yet: a list of pooled chunks, filled behind and emptied in front, never moved.
 * Invariant: bytes() is the sum over the chunks; chunks go back to the pool when they are empty or the stream dies.
 */
import { Region } from '../sys/libc.ts';

export const chunkBytes = 32_768;
/** 4 MiB stay pooled in a worker; more is left to the collector. */
const maxPooled = 128;

export class Chunk {
  readonly region = new Region(chunkBytes, chunkBytes);
  start = 0;
  end = 0;
  next: Chunk | null = null;
}

export class ChunkPool {
  /** Bytes in all queues of the pool. */
  queuedBytes = 0;
  #free: Chunk | null = null;
  #count = 0;

  take(): Chunk {
    const chunk = this.#free;
    if (chunk === null) return new Chunk();
    this.#free = chunk.next;
    this.#count--;
    chunk.next = null;
    return chunk;
  }

  give(chunk: Chunk): void {
    if (this.#count >= maxPooled) return;
    chunk.start = 0;
    chunk.end = 0;
    chunk.next = this.#free;
    this.#free = chunk;
    this.#count++;
  }
}

export class OutputQueue {
  readonly #pool: ChunkPool;
  #head: Chunk | null = null;
  #tail: Chunk | null = null;
  #bytes = 0;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(source: Uint8Array, start: number, end: number): void {
    this.#bytes += end - start;
    this.#pool.queuedBytes += end - start;
    let at = start;
    while (at < end) {
      let chunk = this.#tail;
      if (chunk === null || chunk.end === chunkBytes) chunk = this.#append();
      const size = Math.min(end - at, chunkBytes - chunk.end);
      chunk.region.buffer.set(source.subarray(at, at + size), chunk.end);
      chunk.end += size;
      at += size;
    }
  }

  #append(): Chunk {
    const chunk = this.#pool.take();
    if (this.#tail === null) this.#head = chunk;
    else this.#tail.next = chunk;
    this.#tail = chunk;
    return chunk;
  }

  /** Address of the first byte; only while bytes > 0. */
  get address(): bigint {
    const head = this.#head;
    return head === null ? 0n : head.region.span(head.start, head.end - head.start);
  }

  /** Bytes that lie together at the address. */
  get length(): number {
    const head = this.#head;
    return head === null ? 0 : head.end - head.start;
  }

  /** The socket has taken n bytes, at most `length`. */
  consume(n: number): void {
    const head = this.#head;
    if (head === null) return;
    head.start += n;
    this.#bytes -= n;
    this.#pool.queuedBytes -= n;
    if (head.start < head.end) return;
    this.#head = head.next;
    if (this.#head === null) this.#tail = null;
    this.#pool.give(head);
  }

  clear(): void {
    while (this.#head !== null) this.consume(this.length);
  }
}
