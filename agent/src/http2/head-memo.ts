/**
 * A head as far as the beginning of a block makes it: the whole block where it repeats, or the indexes it begins with,
 * since many blocks differ in a literal at the end (an id, a time). Kept by the connection's decoder, which knows when
 * the indexes still mean the same (ADR 0044).
 */
import type { Head } from '../http1/head.ts';
import { fieldStride } from '../http1/head.ts';
import { copyWords, equalWords, slack, viewOf } from '../http1/words.ts';
import type { HeadKind } from './head-assembly.ts';

/** What the assembly has to remember besides the head. */
export interface AssemblyState {
  size: number;
  fields: number;
  seen: number;
  crumbs: number;
  regular: boolean;
}

export class HeadMemo {
  readonly state: AssemblyState = { size: 0, fields: 0, seen: 0, crumbs: 0, regular: false };
  #kind: HeadKind = 'ignored';
  #hash = 0;
  #version = -1;
  #key: DataView = viewOf(new Uint8Array(0));
  #keyLength = 0;
  #bytes: DataView = viewOf(new Uint8Array(0));
  #used = 0;
  #fields = new Int32Array(0);
  #ids = new Float64Array(0);
  #seenLow = 0;
  #seenHigh = 0;
  #method = 0;
  #scheme = 0;
  #status = 0;
  /** Ranges of the names that have no number: of a method, a scheme, a protocol. */
  #methodStart = 0;
  #methodEnd = 0;
  #schemeStart = 0;
  #schemeEnd = 0;
  #protocolStart = 0;
  #protocolEnd = 0;
  #targetStart = 0;
  #targetEnd = 0;
  #queryStart = 0;
  #pathMarks = 0;
  #targetId = 0;
  #contentLength = -1;
  #expectContinue = false;

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
    this.#key = viewOf(new Uint8Array(length + slack));
    copyWords(b, start, this.#key, 0, length);
    this.#used = head.used;
    this.#bytes = viewOf(new Uint8Array(head.used + slack));
    copyWords(head.view, 0, this.#bytes, 0, head.used);
    this.#fields = head.fields.slice(0, head.count * fieldStride);
    this.#ids = head.ids.slice(0, head.count);
    this.#seenLow = head.seenLow;
    this.#seenHigh = head.seenHigh;
    this.#method = head.method;
    this.#scheme = head.scheme;
    this.#status = head.status;
    this.#methodStart = head.methodStart;
    this.#methodEnd = head.methodEnd;
    this.#schemeStart = head.schemeStart;
    this.#schemeEnd = head.schemeEnd;
    this.#protocolStart = head.protocolStart;
    this.#protocolEnd = head.protocolEnd;
    this.#targetStart = head.targetStart;
    this.#targetEnd = head.targetEnd;
    this.#queryStart = head.queryStart;
    this.#pathMarks = head.pathMarks;
    this.#targetId = head.targetId;
    this.#contentLength = head.contentLength;
    this.#expectContinue = head.expectContinue;
  }

  /** Makes a head that was just reset what it was. */
  restore(head: Head): void {
    const used = this.#used;
    head.reserve(used);
    copyWords(this.#bytes, 0, head.view, 0, used);
    head.used = used;
    head.restoreFields(this.#fields, this.#ids);
    head.seenLow = this.#seenLow;
    head.seenHigh = this.#seenHigh;
    head.method = this.#method;
    head.scheme = this.#scheme;
    head.status = this.#status;
    head.methodStart = this.#methodStart;
    head.methodEnd = this.#methodEnd;
    head.schemeStart = this.#schemeStart;
    head.schemeEnd = this.#schemeEnd;
    head.protocolStart = this.#protocolStart;
    head.protocolEnd = this.#protocolEnd;
    head.targetStart = this.#targetStart;
    head.targetEnd = this.#targetEnd;
    head.queryStart = this.#queryStart;
    head.pathMarks = this.#pathMarks;
    head.targetId = this.#targetId;
    head.contentLength = this.#contentLength;
    head.expectContinue = this.#expectContinue;
  }
}
