/** What a peer is about to send: several pieces may come in one read, and one piece in two. */
import type { FakeStream } from '../fake-stream.ts';

export class Outbox {
  readonly stream: FakeStream;
  #waiting: Buffer[] = [];

  constructor(stream: FakeStream) {
    this.stream = stream;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  post(bytes: Buffer | string): void {
    this.#waiting.push(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** The agent reads all of it, or up to the cut first; 0 is none. */
  flush(cut = 0): void {
    const all = Buffer.concat(this.#waiting);
    this.#waiting = [];
    if (all.length === 0) return;
    const at = cut % all.length;
    if (at > 0) this.stream.feed(all.subarray(0, at));
    this.stream.feed(all.subarray(at));
  }
}
