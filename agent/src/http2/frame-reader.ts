/**
 * Bytes to frames, however they are split. DATA is handed on as it arrives, without its padding; header blocks are
 * handed on whole, their CONTINUATIONs joined; other frames whole. Knows the form of frames, not their meaning.
 * Invariant: holds at most one incomplete frame (16 KiB) and one header block; while the sink rests, what one read
 * brought besides.
 */

import { slack } from '../http1/words.ts';
import { readHeadroom } from '../net/stream.ts';
import { defaultFrameBytes, errorCode, flag, frameHeaderBytes, frameType, readUint31 } from './frame.ts';

/** Frames with END_HEADERS missing are joined up to this many, more only where larger heads are allowed. */
const fewContinuations = 64;
/** Where what was kept is worked off: with room in front, and for all of it behind. */
const resumeAt = readHeadroom / 2;

/** What hears of frames. Each returns an error code of the connection, or 0 to go on. */
export interface FrameSink {
  /** The sink wants no more: reading stops, what is left is dropped. */
  readonly closed: boolean;
  /** The sink has done enough for this turn: what is left is kept until `resume`. */
  readonly rests: boolean;
  /** A DATA frame begins; `length` counts its padding (with the length byte) too, as flow control does. */
  onDataFrame(streamId: number, length: number, padding: number, endStream: boolean): number;
  /** Part of its payload in [start, end) of the read buffer; `last` ends the stream. */
  onDataPart(start: number, end: number, last: boolean): number;
  /** A HEADERS frame with its CONTINUATIONs, joined. `selfDependent`: its priority names the stream itself. */
  onHeaderBlock(
    streamId: number,
    endStream: boolean,
    selfDependent: boolean,
    b: Buffer,
    start: number,
    end: number,
  ): number;
  /** A HEADERS or CONTINUATION frame without payload. */
  onEmptyHeaders(): number;
  /** Any other frame. */
  onFrame(type: number, flags: number, streamId: number, b: Buffer, start: number, end: number): number;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #buffer: Buffer;
  /** Largest header block, compressed, that is joined. */
  readonly #maxBlock: number;
  readonly #maxContinuations: number;
  #stash: Buffer | null = null;
  #stashed = 0;
  /** Bytes that must be there before it is worth looking again. */
  #needed = 0;
  /** The DATA frame at hand: payload and padding still to come. */
  #dataLeft = 0;
  #paddingLeft = 0;
  #dataEnds = false;
  #inData = false;
  /** The header block at hand: its stream, or 0. */
  #blockStream = 0;
  #blockEnds = false;
  #blockSelf = false;
  #block: Buffer | null = null;
  #blockLength = 0;
  #continuations = 0;

  constructor(sink: FrameSink, readBuffer: Buffer, maxHeaderBytes: number) {
    this.#sink = sink;
    this.#buffer = readBuffer;
    this.#maxBlock = maxHeaderBytes + defaultFrameBytes;
    this.#maxContinuations = Math.max(fewContinuations, (2 * this.#maxBlock) / defaultFrameBytes);
  }

  /** Bytes of an incomplete frame and of an incomplete header block that are held. */
  get heldBytes(): number {
    return this.#stashed + this.#blockLength;
  }

  /** The sink rests, and something waits for it: `resume` comes before the next `read`. */
  rested = false;

  /** Goes on with what was kept. An error code of the connection, or 0. */
  resume(): number {
    this.rested = false;
    const end = resumeAt + this.#stashed;
    this.#stash?.copy(this.#buffer, resumeAt, 0, this.#stashed);
    this.#stashed = 0;
    this.#stash = null;
    return this.#frames(resumeAt, end);
  }

  /**
   * Works off [from, end) of the read buffer, with what was left of the last time in front of it (at most 16 KiB). An
   * error code of the connection, or 0.
   */
  read(from: number, end: number): number {
    let start = from;
    if (this.#stashed > 0) {
      if (this.#stashed + end - start < this.#needed) {
        this.#keep(start, end);
        return 0;
      }
      start -= this.#stashed;
      this.#stash?.copy(this.#buffer, start, 0, this.#stashed);
      this.#stashed = 0;
      this.#stash = null;
    }
    return this.#frames(start, end);
  }

  #keep(start: number, end: number): void {
    const length = this.#stashed + end - start;
    if (this.#stash === null || this.#stash.length < length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#needed, length));
      this.#stash?.copy(grown, 0, 0, this.#stashed);
      this.#stash = grown;
    }
    this.#buffer.copy(this.#stash, this.#stashed, start, end);
    this.#stashed = length;
  }

  #frames(start: number, end: number): number {
    const b = this.#buffer;
    const sink = this.#sink;
    let p = start;
    while (!sink.closed) {
      if (sink.rests && p < end) {
        this.rested = true;
        this.#needed = 0;
        break;
      }
      if (this.#inData) {
        const took = this.#data(p, end);
        if (took < 0) return -took;
        p = took;
        if (this.#inData) return 0;
        continue;
      }
      if (p >= end) return 0;
      if (end - p < frameHeaderBytes) {
        this.#needed = frameHeaderBytes;
        break;
      }
      const length = ((b[p] as number) << 16) | ((b[p + 1] as number) << 8) | (b[p + 2] as number);
      if (length > defaultFrameBytes) return errorCode.frameSizeError;
      const type = b[p + 3] as number;
      const flags = b[p + 4] as number;
      const id = readUint31(b, p + 5);
      if (this.#blockStream !== 0 && (type !== frameType.continuation || id !== this.#blockStream)) {
        return errorCode.protocolError;
      }
      if (type === frameType.data) {
        const begun = this.#beginData(p, end, length, flags, id);
        if (begun < 0) return -begun;
        if (begun === 0) break;
        p = begun;
        continue;
      }
      if (end - p < frameHeaderBytes + length) {
        this.#needed = frameHeaderBytes + length;
        break;
      }
      const from = p + frameHeaderBytes;
      p = from + length;
      let error = 0;
      if (type === frameType.headers) error = this.#headers(flags, id, from, p);
      else if (type === frameType.continuation) error = this.#continuation(flags, from, p);
      else error = sink.onFrame(type, flags, id, b, from, p);
      if (error !== 0) return error;
    }
    if (p < end && !sink.closed) this.#keep(p, end);
    return 0;
  }

  /** Position of the payload, 0 when the byte of the padding's length is missing, or a negative error. */
  #beginData(at: number, end: number, length: number, flags: number, id: number): number {
    const padded = (flags & flag.padded) !== 0;
    let p = at + frameHeaderBytes;
    let padding = 0;
    if (padded) {
      if (length === 0) return -errorCode.frameSizeError;
      if (p >= end) {
        this.#needed = frameHeaderBytes + 1;
        return 0;
      }
      padding = this.#buffer[p++] as number;
      if (padding >= length) return -errorCode.protocolError;
    }
    this.#dataLeft = length - padding - (padded ? 1 : 0);
    this.#paddingLeft = padding;
    this.#dataEnds = (flags & flag.endStream) !== 0;
    this.#inData = true;
    const error = this.#sink.onDataFrame(id, length, length - this.#dataLeft, this.#dataEnds);
    return error !== 0 ? -error : p;
  }

  /** Hands on what is there of the frame's payload and skips its padding; the position behind, or a negative error. */
  #data(start: number, end: number): number {
    let p = start;
    const take = Math.min(this.#dataLeft, end - p);
    this.#dataLeft -= take;
    const over = this.#dataLeft === 0;
    if (take > 0 || over) {
      const last = over && this.#dataEnds;
      if (take > 0 || last) {
        const error = this.#sink.onDataPart(p, p + take, last);
        if (error !== 0) return -error;
        if (last) this.#dataEnds = false;
      }
      p += take;
    }
    if (!over) return p;
    const skip = Math.min(this.#paddingLeft, end - p);
    this.#paddingLeft -= skip;
    p += skip;
    if (this.#paddingLeft === 0) this.#inData = false;
    return p;
  }

  #headers(flags: number, id: number, from: number, to: number): number {
    const b = this.#buffer;
    if (id === 0) return errorCode.protocolError;
    let start = from;
    let end = to;
    if ((flags & flag.padded) !== 0) {
      if (start >= end) return errorCode.frameSizeError;
      end -= b[start++] as number;
    }
    let selfDependent = false;
    if ((flags & flag.priority) !== 0) {
      if (end - start < 5) return start + 5 > to ? errorCode.frameSizeError : errorCode.protocolError;
      selfDependent = readUint31(b, start) === id;
      start += 5;
    }
    if (end < start) return errorCode.protocolError;
    const ends = (flags & flag.endStream) !== 0;
    if (start === end && !ends) {
      const error = this.#sink.onEmptyHeaders();
      if (error !== 0) return error;
    }
    if ((flags & flag.endHeaders) !== 0) return this.#sink.onHeaderBlock(id, ends, selfDependent, b, start, end);
    this.#blockStream = id;
    this.#blockEnds = ends;
    this.#blockSelf = selfDependent;
    this.#blockLength = 0;
    this.#continuations = 0;
    return this.#append(start, end);
  }

  #continuation(flags: number, from: number, to: number): number {
    if (this.#blockStream === 0) return errorCode.protocolError;
    if (++this.#continuations > this.#maxContinuations) return errorCode.enhanceYourCalm;
    if (from === to) {
      const error = this.#sink.onEmptyHeaders();
      if (error !== 0) return error;
    }
    const error = this.#append(from, to);
    if (error !== 0 || (flags & flag.endHeaders) === 0) return error;
    const block = this.#block ?? Buffer.alloc(slack);
    const length = this.#blockLength;
    const id = this.#blockStream;
    this.#block = null;
    this.#blockLength = 0;
    this.#blockStream = 0;
    return this.#sink.onHeaderBlock(id, this.#blockEnds, this.#blockSelf, block, 0, length);
  }

  #append(from: number, to: number): number {
    const length = this.#blockLength + to - from;
    if (length > this.#maxBlock) return errorCode.enhanceYourCalm;
    if (this.#block === null || this.#block.length < length + slack) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1024, Math.min(length * 2, this.#maxBlock)) + slack);
      this.#block?.copy(grown, 0, 0, this.#blockLength);
      this.#block = grown;
    }
    this.#buffer.copy(this.#block, this.#blockLength, from, to);
    this.#blockLength = length;
    return 0;
  }
}
