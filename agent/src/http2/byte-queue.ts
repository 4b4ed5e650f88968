/**
 * Bytes of one stream that wait for its window or for the socket, in pooled blocks. Memory is held only while there is
 * something. Invariant: `length` is the sum over the blocks, of which only the first is read and the last is filled.
 */
import { blockBytes, type Http2Host } from './host.ts';

/** A stalled stream that has little to say does not hold a whole block. */
const smallBytes = 1024;

interface Block {
  readonly buffer: Buffer;
  start: number;
  end: number;
}

export class ByteQueue {
  length = 0;
  readonly #blocks: Block[] = [];

  push(host: Http2Host, from: Uint8Array, start: number, end: number): void {
    this.length += end - start;
    let at = start;
    while (at < end) {
      let block = this.#blocks.at(-1);
      if (block === undefined || block.end === block.buffer.length) {
        const small = block === undefined && end - at <= smallBytes / 2;
        block = { buffer: small ? Buffer.allocUnsafeSlow(smallBytes) : host.takeBlock(), start: 0, end: 0 };
        this.#blocks.push(block);
      }
      const size = Math.min(end - at, block.buffer.length - block.end);
      Buffer.prototype.copy.call(from, block.buffer, block.end, at, at + size);
      block.end += size;
      at += size;
    }
  }

  /** The first block: what may be read lies in [start, end). Only while there is something. */
  first(): Readonly<Block> {
    const block = this.#blocks[0];
    if (block === undefined) throw new Error('the queue is empty');
    return block;
  }

  /** The first n bytes of the first block are done with. */
  consume(host: Http2Host, n: number): void {
    const block = this.#blocks[0];
    if (block === undefined) return;
    block.start += n;
    this.length -= n;
    if (block.start < block.end) return;
    this.#blocks.shift();
    if (block.buffer.length === blockBytes) host.giveBlock(block.buffer);
  }

  clear(host: Http2Host): void {
    for (const { buffer } of this.#blocks) if (buffer.length === blockBytes) host.giveBlock(buffer);
    this.#blocks.length = 0;
    this.length = 0;
  }
}
