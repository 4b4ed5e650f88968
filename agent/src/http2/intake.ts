/**
 * From the socket to frames: the client's preface, what each read brought, and the rest between the parts of a burst.
 * Invariant: nobody keeps a hold of the read buffer beyond the work on what was read, and nothing is read while what
 * came before waits.
 */
import { readCapacity, readEof, readHeadroom, type Stream } from '../net/stream.ts';
import type { Http2Connection } from './connection.ts';
import type { Ending } from './ending.ts';
import { clientPreface, errorCode } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import type { Receiver } from './receiver.ts';

export class Intake {
  readonly #connection: Http2Connection;
  readonly #ending: Ending;
  readonly #receiver: Receiver;
  readonly #reader: FrameReader;
  /** Bytes of the preface that are still to come. */
  #prefaceLeft: number;

  constructor(connection: Http2Connection, ending: Ending, receiver: Receiver) {
    const { host, role, options } = connection;
    this.#connection = connection;
    this.#ending = ending;
    this.#receiver = receiver;
    this.#reader = new FrameReader(receiver, host.readBuffer, options.maxHeaderBytes);
    this.#prefaceLeft = role === 'server' ? clientPreface.length : 0;
  }

  /** Reads what the socket has. */
  readAll(socket: Stream): void {
    this.#receiver.openedInTurn = 0;
    for (;;) {
      const n = socket.read(readHeadroom, readCapacity);
      if (n <= 0) {
        if (n === readEof) this.#ending.lost('remote-close', '');
        return;
      }
      this.take(readHeadroom, readHeadroom + n);
      if (this.#ending.closed || socket.readPaused || !socket.more(n, readCapacity)) return;
    }
  }

  /** Works off [from, end) of the read buffer. */
  take(from: number, end: number): void {
    const start = this.#prefaceLeft > 0 ? this.#preface(from, end) : from;
    if (this.#ending.closed) return;
    this.#afterFrames(this.#read(start, end));
  }

  #preface(start: number, end: number): number {
    let p = start;
    const b = this.#connection.host.readBuffer;
    while (this.#prefaceLeft > 0 && p < end) {
      if (b[p] !== clientPreface[clientPreface.length - this.#prefaceLeft]) {
        this.#ending.fail(errorCode.protocolError, 'not the preface of HTTP/2');
        return end;
      }
      this.#prefaceLeft--;
      p++;
    }
    return p;
  }

  #read(start: number, end: number): number {
    try {
      return this.#reader.read(start, end);
    } finally {
      this.#releaseBuffer();
    }
  }

  #resume(): number {
    try {
      return this.#reader.resume();
    } finally {
      this.#releaseBuffer();
    }
  }

  #releaseBuffer(): void {
    const { host } = this.#connection;
    this.#receiver.flushJoined();
    host.releaseHeld();
    host.source = null;
    host.flushDirect();
  }

  #afterFrames(error: number): void {
    const ending = this.#ending;
    if (error !== 0) ending.fail(error, ending.detail === '' ? 'malformed frame' : ending.detail);
    else if (this.#reader.rested && !ending.closed) this.#rest();
  }

  /** The other connections have their turn before this one goes on. */
  #rest(): void {
    const { socket, host } = this.#connection;
    socket.pauseRead();
    // Not a timer: it would wait for the next tick of the wheel, 10 ms in which nobody works.
    host.defer(() => {
      if (this.#ending.closed) return;
      this.#receiver.openedInTurn = 0;
      this.#afterFrames(this.#resume());
      if (!this.#ending.closed && !this.#reader.rested) socket.resumeRead();
    });
  }
}
