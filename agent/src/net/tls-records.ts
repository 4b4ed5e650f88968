/**
 * The record layer of TLS 1.3 (RFC 8446 section 5) on an established connection, in place of OpenSSL's: many records are
 * read in one call and opened straight into the read buffer, and many are sealed into one piece that is sent in one call.
 * OpenSSL has done the handshake and gives the traffic secrets; the cipher is OpenSSL's as well.
 * Invariants: a nonce is used once; bytes that are not authentic reach nobody; behind close_notify, or a failure, nothing
 * is read; what is kept between reads is less than one record.
 */
import * as libc from '../sys/libc.ts';
import type { Chunk, ChunkPool } from './output-queue.ts';
import { PostHandshake } from './post-handshake.ts';
import {
  headerBytes,
  maxSealedBytes,
  overheadBytes,
  pieceBytes,
  type RecordScratch,
  rawCapacity,
  trailerBytes,
} from './record-scratch.ts';
import type { SecureInput } from './secure-input.ts';
import { readAgain, readEof, readError, recordBytes } from './stream.ts';
import { type Alert, alert, alertName } from './tls-alerts.ts';
import { TrafficKeys } from './traffic-keys.ts';

const type = { alert: 21, handshake: 22, data: 23 } as const;

/** RFC 8446 section 5.5: AES-GCM keeps its margin for 2^24.5 full records under one key. */
const usualKeyLimit = 2 ** 24;
/** Records in a row that carry no data: as many as OpenSSL takes. */
const maxEmptyRecords = 32;

export interface RecordPlace {
  /** Where read() puts what was opened. */
  readonly region: libc.Region;
  readonly chunks: ChunkPool;
  readonly records: RecordScratch;
}

export interface RecordSecrets {
  /** OpenSSL's name of the cipher suite. */
  readonly suite: string;
  readonly own: Buffer;
  readonly peer: Buffer;
}

const whole = BigInt(rawCapacity);

export class TlsRecords implements SecureInput {
  failure = '';
  /** What the peer should be told of our failure. */
  alert: Alert | null = null;
  readonly #handle: bigint;
  readonly #place: RecordPlace;
  readonly #opens: TrafficKeys;
  readonly #seals: TrafficKeys;
  readonly #keyLimit: number;
  readonly #messages: PostHandshake;
  /** The beginning of a record whose rest has not come. */
  #stash: Chunk | null = null;
  #mayHoldMore = false;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #updateAsked = false;
  #emptyRecords = 0;

  /** secrets: taken over. handle: the descriptor, which stays the stream's. @throws Error without memory. */
  constructor(
    handle: bigint,
    role: 'client' | 'server',
    secrets: RecordSecrets,
    place: RecordPlace,
    keyLimit: number = usualKeyLimit,
  ) {
    this.#handle = handle;
    this.#place = place;
    this.#opens = new TrafficKeys(secrets.suite, secrets.peer, 'open');
    this.#seals = new TrafficKeys(secrets.suite, secrets.own, 'seal');
    this.#keyLimit = keyLimit;
    this.#messages = new PostHandshake(role);
  }

  /** The last read took all that it asked for. */
  get hasPending(): boolean {
    return this.#mayHoldMore;
  }

  /** capacity: that of the stream's reads, so that whatever is received finds room. */
  read(offset: number, capacity: number): number {
    if (capacity < pieceBytes) throw new RangeError(`TLS reads ${pieceBytes} bytes at least, not ${capacity}`);
    if (this.#state !== 'open') return this.#state === 'ended' ? readEof : readError;
    const had = this.#unstash();
    const received = this.#receive(had);
    if (received <= 0) {
      this.#keep(0, had);
      return received;
    }
    return this.#openAll(had + received, offset);
  }

  /** Takes what was kept to the front of the scratch: how much that is. */
  #unstash(): number {
    const stash = this.#stash;
    if (stash === null) return 0;
    const length = stash.end;
    this.#place.records.opening.buffer.set(stash.region.buffer.subarray(0, length), 0);
    this.#dropStash();
    return length;
  }

  #dropStash(): void {
    if (this.#stash !== null) this.#place.chunks.give(this.#stash);
    this.#stash = null;
  }

  #keep(start: number, end: number): void {
    if (start === end) return;
    const stash = this.#place.chunks.take();
    stash.region.buffer.set(this.#place.records.opening.buffer.subarray(start, end), 0);
    stash.end = end - start;
    this.#stash = stash;
  }

  #receive(had: number): number {
    const { openingAddress: address } = this.#place.records;
    const room = rawCapacity - had;
    const at = had === 0 ? address : address + BigInt(had);
    const n = libc.recv(this.#handle, at, had === 0 ? whole : BigInt(room), 0n);
    this.#mayHoldMore = n === room;
    if (n > 0) return n;
    // Without close_notify the end may be an attacker's: what came before it may be cut off.
    if (n === 0) return this.#fail('the peer ended the connection without a close_notify');
    const code = libc.errno();
    if (code === libc.errnos.EINTR) this.#mayHoldMore = true;
    if (code === libc.errnos.EAGAIN || code === libc.errnos.EINTR) return readAgain;
    return this.#fail(libc.errnoText(code));
  }

  #fail(why: string): typeof readError {
    this.#state = 'failed';
    this.failure = why;
    return readError;
  }

  #refuse(code: Alert, why: string): typeof readError {
    this.alert = code;
    return this.#fail(why);
  }

  /** Opens every whole record of the first `length` bytes of the scratch to `offset`; the rest is kept. */
  #openAll(length: number, offset: number): number {
    const { buffer } = this.#place.records.opening;
    let at = 0;
    let to = offset;
    while (length - at >= headerBytes) {
      const sealed = this.#sealedBytes(buffer, at);
      if (sealed < 0 || length - at - headerBytes < sealed) break;
      to += Math.max(0, this.#openOne(at, sealed, to));
      if (this.#state !== 'open') break;
      at += headerBytes + sealed;
    }
    return this.#opened(at, length, to - offset);
  }

  /** What a read comes to that has opened so many bytes, and the scratch up to `at`: an end is told behind the data. */
  #opened(at: number, length: number, opened: number): number {
    if (this.#state === 'open') this.#keep(at, length);
    else this.#mayHoldMore = opened > 0;
    if (opened > 0) return opened;
    if (this.#state === 'open') return readAgain;
    return this.#state === 'ended' ? readEof : readError;
  }

  /** What the header at `at` announces, or readError. */
  #sealedBytes(buffer: Uint8Array, at: number): number {
    if (buffer[at] !== type.data || buffer[at + 1] !== 3 || buffer[at + 2] !== 3) {
      return this.#refuse(alert.unexpectedMessage, 'what came is no record of TLS 1.3');
    }
    const sealed = ((buffer[at + 3] as number) << 8) | (buffer[at + 4] as number);
    if (sealed > maxSealedBytes) return this.#refuse(alert.recordOverflow, `a record of ${sealed} bytes`);
    return sealed < trailerBytes ? this.#refuse(alert.badRecordMac, `a record of ${sealed} bytes`) : sealed;
  }

  /** Opens a record to `to`: how many bytes of data it had, or readError. */
  #openOne(at: number, sealed: number, to: number): number {
    const { records, region } = this.#place;
    const header = at === 0 ? records.openingAddress : records.openingAddress + BigInt(at);
    const body = at === 0 ? records.openingBody : header + 5n;
    const keys = this.#opens;
    const length = sealed - (trailerBytes - 1);
    if (!keys.aead.open(keys.sequence, header, body, length, region.span(to, length))) {
      return this.#refuse(alert.badRecordMac, 'a record is not authentic');
    }
    keys.sequence++;
    let end = to + length - 1;
    while (end >= to && region.buffer[end] === 0) end--; // padding
    if (end < to) return this.#refuse(alert.unexpectedMessage, 'a record without a type');
    if (end - to > recordBytes) return this.#refuse(alert.recordOverflow, `${end - to} bytes in a record`);
    return this.#take(region.buffer[end] as number, to, end);
  }

  /** A record of that type with the content [start, end): how much of it is data. */
  #take(kind: number, start: number, end: number): number {
    if (kind === type.handshake && end > start) return this.#takeHandshake(start, end);
    if (this.#messages.isInside) return this.#refuse(alert.unexpectedMessage, 'a handshake message is interrupted');
    if (kind === type.alert) return this.#takeAlert(start, end);
    if (kind !== type.data) return this.#refuse(alert.unexpectedMessage, `a record of type ${kind}`);
    if (start === end) return this.#countEmpty();
    this.#emptyRecords = 0;
    return end - start;
  }

  #countEmpty(): number {
    if (++this.#emptyRecords <= maxEmptyRecords) return 0;
    return this.#refuse(alert.unexpectedMessage, `more than ${maxEmptyRecords} records in a row without data`);
  }

  #takeHandshake(start: number, end: number): number {
    const result = this.#messages.take(this.#place.region.buffer, start, end);
    if (typeof result === 'object') return this.#refuse(result.refused, 'a handshake message that may not come now');
    if (result === 'updated' || result === 'update-asked') this.#opens.update();
    if (result === 'update-asked') this.#updateAsked = true;
    return this.#countEmpty();
  }

  #takeAlert(start: number, end: number): number {
    if (end - start !== 2) return this.#refuse(alert.decodeError, 'a broken alert');
    const code = this.#place.region.buffer[start + 1] as number;
    if (code === alert.userCanceled) return this.#countEmpty();
    if (code !== alert.closeNotify) return this.#fail(`the peer sent the alert "${alertName(code)}"`);
    this.#state = 'ended';
    return 0;
  }

  /**
   * Seals at most pieceBytes of data to `to` of the place for it, which has the room of sealedBytes: where they end. They
   * must be sent before what is sealed later.
   */
  seal(address: bigint, length: number, to: number): number {
    let end = this.#updateKey(to);
    for (let from = 0; from < length; from += recordBytes) {
      const size = Math.min(length - from, recordBytes);
      end = this.#sealOne(type.data, from === 0 ? address : address + BigInt(from), size, end);
    }
    return end;
  }

  /** The same for an alert. */
  sealAlert(code: Alert | typeof alert.closeNotify, to: number): number {
    const warning = code === alert.closeNotify;
    return this.#sealBytes(type.alert, [warning ? 1 : 2, code], this.#updateKey(to));
  }

  /** A KeyUpdate in front of what is sealed next, when the peer has asked for one or the key has served enough. */
  #updateKey(to: number): number {
    if (!this.#updateAsked && this.#seals.sequence < this.#keyLimit) return to;
    this.#updateAsked = false;
    const end = this.#sealBytes(type.handshake, [24, 0, 0, 1, 0], to);
    this.#seals.update();
    return end;
  }

  #sealBytes(kind: number, content: readonly number[], to: number): number {
    for (const [i, byte] of content.entries()) small.buffer[i] = byte;
    return this.#sealOne(kind, small.span(0, content.length), content.length, to);
  }

  #sealOne(kind: number, from: bigint, length: number, to: number): number {
    const { sealing, sealingAddress, sealingBody } = this.#place.records;
    const { buffer } = sealing;
    const header = to === 0 ? sealingAddress : sealing.span(to, overheadBytes + length);
    buffer[to] = type.data;
    buffer[to + 1] = buffer[to + 2] = 3;
    buffer[to + 3] = (length + trailerBytes) >>> 8;
    buffer[to + 4] = (length + trailerBytes) & 0xff;
    const keys = this.#seals;
    const body = to === 0 ? sealingBody : header + 5n;
    if (!keys.aead.seal(keys.sequence, header, from, length, kind, body)) throw new Error('a record cannot be sealed');
    keys.sequence++;
    return to + overheadBytes + length;
  }

  free(): void {
    this.#dropStash();
    this.#opens.free();
    this.#seals.free();
    if (this.#state === 'open') this.#state = 'failed';
  }
}

/** What is sealed and not data: an alert, a KeyUpdate. */
const small = new libc.Region(8, 8);
