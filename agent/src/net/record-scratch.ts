/**
 * Where the records of TLS 1.3 are read to and sealed, and how large they are (RFC 8446 section 5.2).
 * Invariant: what waits to be sent is one stream's, which hears of it before another one seals.
 */
import type * as libc from '../sys/libc.ts';
import { recordBytes } from './stream.ts';

export const headerBytes = 5;
/** Behind the content: its type, and the tag. */
export const trailerBytes = 17;
export const overheadBytes = headerBytes + trailerBytes;
/** RFC 8446 section 5.2: what a header may announce; padding makes a record longer than its content. */
export const maxSealedBytes = recordBytes + 256;

/** What is read at once: ten full records, whose content is what a read of the stream takes. */
export const rawCapacity: number = 10 * (recordBytes + overheadBytes);
/** What is sealed in one piece. */
export const pieceBytes: number = 10 * recordBytes;
const keyUpdateBytes = overheadBytes + 5;

/** What so many bytes of data, at most a piece, are sealed, with a KeyUpdate in front of them. */
export const sealedBytes = (length: number): number =>
  length + overheadBytes * Math.ceil(length / recordBytes) + keyUpdateBytes;

const sealingBytes = sealedBytes(pieceBytes);
/** What a RecordScratch takes of a region. */
export const scratchBytes: number = rawCapacity + sealingBytes;

/** Whose records wait to be sent. */
export interface SealingOwner {
  /** They must go now: another one seals. */
  onPlaceWanted(): void;
}

/**
 * Where all connections of a thread read their records to, and where they seal them. What is read stays for the time of
 * a call; what is sealed may wait until the turn ends, or until another connection seals.
 */
export class RecordScratch {
  readonly opening: libc.Region;
  readonly openingAddress: bigint;
  readonly openingBody: bigint;
  readonly sealing: libc.Region;
  readonly sealingAddress: bigint;
  readonly sealingBody: bigint;
  /** Where the next record is sealed to. */
  sealed = 0;
  owner: SealingOwner | null = null;

  /** A part of a large region, from `offset` on: pages that are never touched cost nothing there. */
  constructor(within: libc.Region, offset: number) {
    this.opening = within.part(offset, rawCapacity);
    this.openingAddress = this.opening.span(0, 1);
    this.openingBody = this.opening.span(headerBytes, 1);
    this.sealing = within.part(offset + rawCapacity, sealingBytes);
    this.sealingAddress = this.sealing.span(0, 1);
    this.sealingBody = this.sealing.span(headerBytes, 1);
  }

  get room(): number {
    return this.sealing.buffer.length - this.sealed;
  }

  /** The place to seal is that owner's from here on. */
  claim(owner: SealingOwner): void {
    if (this.owner === owner) return;
    this.owner?.onPlaceWanted();
    this.owner = owner;
    this.sealed = 0;
  }

  /** What waits of that owner is sent, or lost. */
  drop(owner: SealingOwner): void {
    if (this.owner !== owner) return;
    this.owner = null;
    this.sealed = 0;
  }
}
