/**
 * How a stream is closed without losing its last bytes: the queue goes out, then FIN, and what the peer still sends is
 * thrown away until its FIN or the deadline, because closing on unread bytes would make the kernel send RST and take
 * our last bytes with it. It is the stream's handler meanwhile.
 */
import { readCapacity, readEof, readHeadroom, type Stream, type StreamHandler } from './stream.ts';

/** How long a closing stream may take to write its queue when the caller gave no deadline. */
const flushDeadlineMs = 1000;

/** What it asks of the stream beside what every stream can do. */
export interface ClosingStream extends Stream {
  /** The peer has sent FIN, and it has been read. */
  readonly peerEnded: boolean;
  /** Calls once, unless the timer is set again or the stream is released before. */
  setTimer(delayMs: number, call: () => void): void;
  /** Reads what there is and what comes, even if reading was paused. */
  readOn(): void;
}

export class StreamClosing implements StreamHandler {
  readonly #stream: ClosingStream;
  readonly #lingerMs: number;
  #lingers = false;

  /** A deadline of 0 closes at once when the queue is empty. */
  constructor(stream: ClosingStream, deadlineMs: number) {
    this.#stream = stream;
    this.#lingerMs = deadlineMs;
  }

  /** The queue has still to go out. The deadline starts again with every byte the peer has taken. */
  flush(): void {
    const stream = this.#stream;
    const before = stream.queued;
    stream.setTimer(this.#lingerMs > 0 ? this.#lingerMs : flushDeadlineMs, () => {
      if (stream.queued === before) stream.close();
      else this.flush();
    });
  }

  /** Nothing is left to send. */
  linger(): void {
    const stream = this.#stream;
    if (this.#lingerMs <= 0 || stream.peerEnded) {
      stream.close();
      return;
    }
    this.#lingers = true;
    stream.endWrite();
    stream.setTimer(this.#lingerMs, () => stream.close());
    stream.readOn();
  }

  onConnected(stream: Stream): void {
    if (stream.queued === 0) this.linger();
    else this.flush();
  }

  onDrained(): void {
    this.linger();
  }

  onReadable(stream: Stream): void {
    for (;;) {
      const n = stream.read(readHeadroom, readCapacity);
      if (n === readEof && this.#lingers) stream.close();
      if (n <= 0 || !stream.more(n, readCapacity)) return;
    }
  }

  onClosed(): void {}
}
