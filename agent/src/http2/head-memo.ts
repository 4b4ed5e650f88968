/**
 * A head as far as the beginning of a block makes it: the whole block where it repeats, or the indexes it begins with,
 * since many blocks differ in a literal at the end (an id, a time). Kept by the connection's decoder, which knows when
 * the indexes still mean the same (ADR 0044).
 */
import { Head } from '../http1/head.ts';
import { copyWords, equalWords, slack, viewOf } from '../http1/words.ts';
import type { HeadKind } from './head-assembly.ts';

/** What most heads need; a memo whose head is larger takes more. */
const headBytes = 256;
const headFields = 8;
/** Where blocks of about one length take turns, the memory of the key serves them all. */
const spareKey = 32;

/** What the assembly has to remember besides the head. */
export interface AssemblyState {
  size: number;
  fields: number;
  seen: number;
  crumbs: number;
  regular: boolean;
}

export class HeadMemo {
  readonly head: Head = new Head(headBytes, headFields);
  readonly state: AssemblyState = { size: 0, fields: 0, seen: 0, crumbs: 0, regular: false };
  #kind: HeadKind = 'ignored';
  #hash = 0;
  #version = -1;
  #key: DataView = viewOf(new Uint8Array(0));
  #keyLength = 0;

  /** Whether it was made from these bytes with the same tables, for the same kind of head. */
  matches(kind: HeadKind, hash: number, version: number, b: DataView, start: number, length: number): boolean {
    return (
      this.#hash === hash &&
      this.#kind === kind &&
      this.#version === version &&
      this.#keyLength === length &&
      equalWords(this.#key, 0, b, start, length)
    );
  }

  /** Keeps what the bytes [start, start + length) have made of a head. */
  keep(head: Head, kind: HeadKind, hash: number, version: number, b: DataView, start: number, length: number): void {
    this.#kind = kind;
    this.#hash = hash;
    this.#version = version;
    this.#keyLength = length;
    if (this.#key.byteLength < length + slack) this.#key = viewOf(new Uint8Array(length + slack + spareKey));
    copyWords(b, start, this.#key, 0, length);
    this.head.copyFrom(head);
  }
}
