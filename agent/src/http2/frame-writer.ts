/**
 * Frames to the socket: they are appended to a chunk, which is written when it is full or the turn ends. Consecutive
 * DATA of one stream becomes one frame, and END_STREAM is set in a frame that is still here. Large data that was just
 * received is not copied. DATA frames get their header in front of them in the read buffer, and those that lie together
 * go out in one write, before anything else happens to that buffer (Http2Host.flushDirect). A body that came without
 * frames goes out at once, each frame with the size of a TLS record.
 * Invariant: a chunk is held only while there is something in it; frames are counted until the socket has taken them.
 */

import { copyWords } from '../http1/words.ts';
import { recordBytes, type Stream } from '../net/stream.ts';
import { defaultFrameBytes, flag, frameHeaderBytes, frameType, writeFrameHeader, writeUint32 } from './frame.ts';
import { chunkBytes, type DirectWriter, type Http2Host, type OutChunk } from './host.ts';

/** Received DATA of at least this many bytes is written from where it lies; what may go in front of it. */
const directBytes = 8192;
const mostPrepended = 2048;
/** Above this a native call is cheaper than a loop. */
const longCopy = 256;
/** Of any byte array, since bodies need not be Buffers. */
const copyBuffer = Buffer.prototype.copy;

/** A DATA frame is not begun in less room than this. */
const smallestRoom = 1024;

export class FrameWriter implements DirectWriter {
  /** Frames, and control frames among them, that the socket has not taken. */
  frames = 0;
  controlFrames = 0;
  /** DATA frames sent so far. */
  dataFrames = 0;
  readonly #host: Http2Host;
  readonly #socket: Stream;
  #chunk: OutChunk | null = null;
  /** Where the next byte goes, and the end of the chunk. */
  #at = 0;
  #limit = 0;
  /** The last DATA frame while nothing stands behind it: its stream (0 for none), position and length. */
  #openId = 0;
  #openAt = 0;
  #openLength = 0;
  /** Where it lies: the chunk's buffer, or the read buffer. */
  #openIn: Buffer | null = null;
  /** The range of the read buffer that is still to be written. */
  #directStart = 0;
  #directEnd = 0;
  /** The stream whose last frame has gone out with END_STREAM, until `endStream` asks for it. */
  #endedId = 0;
  /** What the header of a frame in place takes the room of. */
  readonly #covered = Buffer.alloc(frameHeaderBytes);
  #corked = false;

  constructor(host: Http2Host, socket: Stream) {
    this.#host = host;
    this.#socket = socket;
  }

  /** The socket does not take all that was written. */
  get blocked(): boolean {
    return this.#socket.queued > 0;
  }

  get pendingBytes(): number {
    return this.#chunk === null ? 0 : this.#at - this.#chunk.start;
  }

  /** What `room` gives positions in. */
  get chunk(): OutChunk {
    return this.#chunk as OutChunk;
  }

  /** Position of at least `bytes` of room (at most a chunk) for a frame; to be followed by `wrote`. */
  room(bytes: number): number {
    if (this.#host.direct === this) this.#host.flushDirect();
    this.#openId = 0;
    if (this.#chunk !== null && this.#limit - this.#at < bytes) this.flush();
    if (this.#chunk === null) this.#begin();
    return this.#at;
  }

  /** A frame ends here. */
  wrote(end: number): void {
    this.#at = end;
    this.frames++;
  }

  #begin(): void {
    const chunk = this.#host.takeChunk();
    this.#chunk = chunk;
    this.#at = chunk.start;
    this.#limit = chunk.start + chunkBytes;
  }

  /** Hands everything to the socket, which queues what it cannot send. */
  flush(): void {
    if (this.#host.direct === this) this.#host.flushDirect();
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#chunk = null;
    this.#openId = 0;
    this.#socket.write(chunk.buffer, chunk.start, this.#at);
    this.#host.giveChunk(chunk);
    if (this.#socket.queued === 0) this.drained();
  }

  /** The turn ends: nothing waits for more. */
  uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  /** The socket has taken everything. */
  drained(): void {
    this.frames = 0;
    this.controlFrames = 0;
  }

  /** Drops what was not written. */
  discard(): void {
    if (this.#host.direct === this) this.#host.flushDirect();
    if (this.#chunk === null) return;
    this.#host.giveChunk(this.#chunk);
    this.#chunk = null;
    this.#openId = 0;
  }

  bytes(source: Buffer): void {
    const at = this.room(source.length);
    source.copy(this.chunk.buffer, at);
    this.#at = at + source.length;
  }

  /** A frame whose payload is one or two 32-bit numbers: RST_STREAM, WINDOW_UPDATE, GOAWAY. */
  numbers(type: number, streamId: number, first: number, second = -1): void {
    const length = second < 0 ? 4 : 8;
    const at = this.room(frameHeaderBytes + length);
    const b = this.chunk.buffer;
    writeFrameHeader(b, at, length, type, 0, streamId);
    writeUint32(b, at + frameHeaderBytes, first);
    if (second >= 0) writeUint32(b, at + frameHeaderBytes + 4, second);
    this.wrote(at + frameHeaderBytes + length);
    if (type === frameType.rstStream) this.controlFrames++;
  }

  /** A frame on stream 0 with a payload: SETTINGS, PING and their acknowledgements. */
  control(type: number, flags: number, b: Buffer, start: number, end: number): void {
    const length = end - start;
    const at = this.room(frameHeaderBytes + length);
    const to = this.chunk.buffer;
    writeFrameHeader(to, at, length, type, flags, 0);
    for (let i = 0; i < length; i++) to[at + frameHeaderBytes + i] = b[start + i] as number;
    this.wrote(at + frameHeaderBytes + length);
    this.controlFrames++;
  }

  /**
   * Appends at most [start, end) as DATA: how much of it, 0 when the socket is blocked. With `last`, endStream follows
   * if that was all.
   */
  data(streamId: number, b: Uint8Array, start: number, end: number, last: boolean): number {
    const host = this.#host;
    if (b === host.readBuffer && end - start >= directBytes) {
      if (host.source !== null && end - start <= defaultFrameBytes) return this.#direct(streamId, start, end);
      if (this.#socket.info.tlsVersion !== '') return this.#inPlace(streamId, start, end, last);
    }
    if (host.direct === this) host.flushDirect();
    let length = end - start;
    if (this.#openId === streamId && this.#openLength < defaultFrameBytes && this.#at < this.#limit) {
      length = Math.min(length, defaultFrameBytes - this.#openLength, this.#limit - this.#at);
      this.#openLength += length;
      const to = this.chunk.buffer;
      const at = this.#openAt;
      to[at] = this.#openLength >>> 16;
      to[at + 1] = this.#openLength >>> 8;
      to[at + 2] = this.#openLength;
    } else {
      if (this.#limit - this.#at < smallestRoom + frameHeaderBytes) this.flush();
      if (this.blocked) return 0;
      if (this.#chunk === null) this.#begin();
      length = Math.min(length, defaultFrameBytes, this.#limit - this.#at - frameHeaderBytes);
      this.#open(streamId, this.chunk.buffer, this.#at, length);
      this.#at += frameHeaderBytes;
    }
    this.#append(b, start, length);
    return length;
  }

  /** Begins a DATA frame whose end may still be set. */
  #open(streamId: number, b: Buffer, at: number, length: number): void {
    writeFrameHeader(b, at, length, frameType.data, 0, streamId);
    this.#openId = streamId;
    this.#openIn = b;
    this.#openAt = at;
    this.#openLength = length;
    this.frames++;
    this.dataFrames++;
  }

  /** [start, end) of the read buffer as one frame, in place. */
  #direct(streamId: number, start: number, end: number): number {
    const host = this.#host;
    const at = start - frameHeaderBytes;
    if (host.direct !== this || this.#directEnd !== at) {
      host.flushDirect();
      if (this.pendingBytes > mostPrepended) this.flush();
      if (this.blocked) return 0;
      this.#directStart = at - this.#prepend(at);
      host.direct = this;
    }
    this.#open(streamId, host.readBuffer, at, end - start);
    this.#directEnd = end;
    return end - start;
  }

  /**
   * [start, end) of the read buffer, all but a rest that is cheaper copied: frame by frame, each a record together with
   * its header, which stands for the time of the write over the end of the frame before it.
   */
  #inPlace(streamId: number, start: number, end: number, last: boolean): number {
    const host = this.#host;
    host.flushDirect();
    if (this.pendingBytes > mostPrepended) this.flush();
    if (this.blocked) return 0;
    if (!this.#corked) this.#socket.cork();
    this.#corked = true;
    let p = start;
    let lead = frameHeaderBytes + this.#prepend(start - frameHeaderBytes);
    while (end - p >= mostPrepended && !this.blocked) {
      const length = Math.min(end - p, recordBytes - lead);
      const ends = last && p + length === end;
      if (ends) this.#endedId = streamId;
      this.#writeInPlace(streamId, p, length, lead, ends);
      p += length;
      lead = frameHeaderBytes;
    }
    return p - start;
  }

  #writeInPlace(streamId: number, start: number, length: number, lead: number, ends: boolean): void {
    const b = this.#host.readBuffer;
    const covered = this.#covered;
    const at = start - frameHeaderBytes;
    for (let i = 0; i < frameHeaderBytes; i++) covered[i] = b[at + i] as number;
    writeFrameHeader(b, at, length, frameType.data, ends ? flag.endStream : 0, streamId);
    this.#openId = 0;
    this.frames++;
    this.dataFrames++;
    this.#socket.write(b, start - lead, start + length);
    for (let i = 0; i < frameHeaderBytes; i++) b[at + i] = covered[i] as number;
    if (this.#socket.queued === 0) this.drained();
  }

  /** Moves what waits in the chunk to the bytes in front of `end` of the read buffer; how much. */
  #prepend(end: number): number {
    const chunk = this.#chunk;
    if (chunk === null) return 0;
    const length = this.#at - chunk.start;
    copyWords(chunk.view, chunk.start, this.#host.readView, end - length, length);
    this.#chunk = null;
    this.#host.giveChunk(chunk);
    return length;
  }

  writeDirect(): void {
    this.#openId = 0;
    this.#socket.write(this.#host.readBuffer, this.#directStart, this.#directEnd);
    if (this.#chunk === null && this.#socket.queued === 0) this.drained();
  }

  #append(b: Uint8Array, start: number, length: number): void {
    const { buffer, view } = this.#chunk as OutChunk;
    const at = this.#at;
    if (length > longCopy) copyBuffer.call(b, buffer, at, start, start + length);
    else if (b === this.#host.readBuffer) copyWords(this.#host.readView, start, view, at, length);
    else for (let i = 0; i < length; i++) buffer[at + i] = b[start + i] as number;
    this.#at = at + length;
  }

  /** Ends the stream: in its last DATA frame while that is here, otherwise with an empty one. */
  endStream(streamId: number): void {
    if (this.#endedId === streamId) {
      this.#endedId = 0;
      return;
    }
    if (this.#openId === streamId && this.#openIn !== null) {
      this.#openIn[this.#openAt + 4] = flag.endStream;
      this.#openId = 0;
      return;
    }
    const at = this.room(frameHeaderBytes);
    writeFrameHeader(this.chunk.buffer, at, 0, frameType.data, flag.endStream, streamId);
    this.wrote(at + frameHeaderBytes);
    this.dataFrames++;
  }

  /** A header block in frames of at most 16 KiB, for one that is too large to be encoded in place. */
  headerBlock(streamId: number, endStream: boolean, block: Buffer, length: number): void {
    for (let p = 0; p === 0 || p < length; p += defaultFrameBytes) {
      const size = Math.min(defaultFrameBytes, length - p);
      const at = this.room(frameHeaderBytes + size);
      const type = p === 0 ? frameType.headers : frameType.continuation;
      const ends = p === 0 && endStream ? flag.endStream : 0;
      const flags = ends | (p + size >= length ? flag.endHeaders : 0);
      writeFrameHeader(this.chunk.buffer, at, size, type, flags, streamId);
      block.copy(this.chunk.buffer, at + frameHeaderBytes, p, p + size);
      this.wrote(at + frameHeaderBytes + size);
    }
  }
}
