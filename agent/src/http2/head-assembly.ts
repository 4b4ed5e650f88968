/**
 * A Head from the field lines that the HPACK decoder writes into its bytes, one by one, judged as RFC 9113 section 8
 * says. What is malformed or too large is still decoded to its end, because the compression state must be kept, but
 * nothing of it is stored any more.
 * Invariant: after finish() === headVerdict.ok the head reads like one that the HTTP/1.1 parser has made.
 */
import { tokenLower } from '../http1/character-classes.ts';
import { fieldStride, Head, removedToken, scheme } from '../http1/head.ts';
import { findMethod, hashStep, method, token } from '../http1/known-headers.ts';
import { type HeadLimits, isHost, isWord, noteContentLength, targetMarks } from '../http1/parse-head.ts';
import type { AssemblyState, HeadMemo } from './head-memo.ts';
import { firstPseudo, fixedStatus, pseudo } from './static-table.ts';

export type HeadKind = 'request' | 'response' | 'trailers' | 'ignored';

/** `malformed` is a stream error of type PROTOCOL_ERROR; the others exceed our limits. */
export const headVerdict = { ok: 0, malformed: 1, tooLarge: 2, tooManyHeaders: 3 } as const;

const encoder = new TextEncoder();
const trailersWord = encoder.encode('trailers');
const httpWord = encoder.encode('http');
const httpsWord = encoder.encode('https');
const continueWord = encoder.encode('100-continue');

/** Bits of the pseudo-headers seen. */
const saw = { authority: 1, method: 2, path: 4, scheme: 8, status: 16, protocol: 32 } as const;

/** What an entry for :method, :scheme or :status counts, about. */
const fixedBytes = 16;
const judgedSlots = 64;

/** Tokens that #note looks at. */
const noted = new Uint8Array(64);
for (const name of [
  'connection',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'te',
  'host',
  'content-length',
  'cookie',
  'expect',
] as const) {
  noted[token[name]] = 1;
}

export class HeadAssembly {
  head: Head = new Head();
  verdict = 0;
  kind: HeadKind = 'request';
  #limits: HeadLimits;
  #connectProtocol = false;
  #size = 0;
  #fields = 0;
  #seen = 0;
  #crumbs = 0;
  #regular = false;
  #discard = false;
  /** Paths and authorities that were looked at before, by id; and what was found in a path. */
  readonly #authorities = new Float64Array(judgedSlots);
  readonly #paths = new Float64Array(judgedSlots);
  readonly #queries = new Int32Array(judgedSlots);
  readonly #marks = new Int32Array(judgedSlots);

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** connectProtocol: whether :protocol is allowed (RFC 8441). */
  begin(head: Head, kind: HeadKind, limits: HeadLimits, connectProtocol: boolean): void {
    head.reset();
    head.version = 20;
    this.head = head;
    this.kind = kind;
    this.verdict = headVerdict.ok;
    this.#limits = limits;
    this.#connectProtocol = connectProtocol;
    this.#size = 0;
    this.#fields = 0;
    this.#seen = 0;
    this.#crumbs = 0;
    this.#regular = false;
    this.#discard = kind === 'ignored';
  }

  /** Whether what has been read so far may be kept, to be read again by resume. */
  get isGood(): boolean {
    return !this.#discard;
  }

  keepState(state: AssemblyState): void {
    state.size = this.#size;
    state.fields = this.#fields;
    state.seen = this.#seen;
    state.crumbs = this.#crumbs;
    state.regular = this.#regular;
  }

  /** Goes on behind the fields of a memo. */
  resume(memo: HeadMemo): void {
    this.head.copyFrom(memo.head);
    const { state } = memo;
    this.#size = state.size;
    this.#fields = state.fields;
    this.#seen = state.seen;
    this.#crumbs = state.crumbs;
    this.#regular = state.regular;
    // The limits may be others since.
    if (state.size > this.#limits.maxBytes) this.#reject(headVerdict.tooLarge);
    else if (state.fields > this.#limits.maxHeaders) this.#reject(headVerdict.tooManyHeaders);
  }

  /**
   * Takes :method, :scheme or :status out of the static table, whose text need not be kept. False when it is not that
   * simple: then the line has to be copied like any other.
   */
  fixed(index: number): boolean {
    if (this.#discard || this.#regular) return false;
    const { head } = this;
    if (index >= 8) {
      if (this.kind !== 'response' || this.#seen !== 0) return false;
      this.#seen = saw.status;
      head.status = fixedStatus(index);
    } else if (this.kind !== 'request') return false;
    else if (index <= 3) {
      if (!this.#once(saw.method)) return false;
      head.method = index === 2 ? method.GET : method.POST;
    } else {
      if (!this.#once(saw.scheme)) return false;
      head.scheme = index === 6 ? scheme.http : scheme.https;
    }
    this.#size += fixedBytes;
    this.#fields++;
    return true;
  }

  /** One line has been written to [name, head.used) of the head's bytes; `id` as in Head.ids. */
  field(known: number, name: number, nameEnd: number, value: number, valueEnd: number, id: number): void {
    const { head } = this;
    if (this.#discard) {
      head.used = 0;
      return;
    }
    this.#size += nameEnd - name + valueEnd - value + 4;
    // Pseudo-header fields count as well, as in Envoy.
    if (this.#size > this.#limits.maxBytes) this.#reject(headVerdict.tooLarge);
    else if (++this.#fields > this.#limits.maxHeaders) this.#reject(headVerdict.tooManyHeaders);
    else if (known >= firstPseudo) {
      if (!this.#pseudo(known, nameEnd, value, valueEnd, id)) this.#reject(headVerdict.malformed);
    } else {
      this.#regular = true;
      if (noted[known] === 0 || this.#note(known, value, valueEnd)) {
        head.pushWithId(id, known, name, nameEnd, value, valueEnd, head.used);
      }
    }
  }

  /** Nothing is stored from here on. */
  #reject(verdict: number): void {
    this.verdict = verdict;
    this.#discard = true;
    this.head.used = 0;
  }

  /** Looks at a field that means something to the protocol; false when it is not to be stored. */
  #note(known: number, value: number, valueEnd: number): boolean {
    const { head } = this;
    const b = head.bytes;
    switch (known) {
      case token.connection:
      case token['transfer-encoding']:
      case token['keep-alive']:
      case token['proxy-connection']:
      case token.upgrade:
        this.#reject(headVerdict.malformed);
        return false;
      case token.te:
        if (isWord(b, value, valueEnd, trailersWord)) return true;
        this.#reject(headVerdict.malformed);
        return false;
      case token.host:
        return this.kind !== 'trailers' && this.#host(value, valueEnd);
      case token['content-length']:
        if (this.kind === 'trailers') return false;
        if (head.contentLength < 0 && noteContentLength(b, value, valueEnd, head)) return true;
        this.#reject(headVerdict.malformed);
        return false;
      case token.cookie:
        this.#crumbs++;
        return true;
      case token.expect:
        head.expectContinue = isWord(b, value, valueEnd, continueWord);
        return true;
      default:
        return true;
    }
  }

  /** :authority has the say where there are both (as in Envoy); two Host fields are refused. */
  #host(value: number, valueEnd: number): boolean {
    if (this.kind === 'response') return true;
    const authority = (this.#seen & saw.authority) !== 0;
    if (isHost(this.head.bytes, value, valueEnd) && (authority || !this.head.has(token.host))) return !authority;
    this.#reject(headVerdict.malformed);
    return false;
  }

  #pseudo(known: number, nameEnd: number, value: number, valueEnd: number, id: number): boolean {
    if (this.#regular || this.kind === 'trailers') return false;
    if (this.kind === 'response') return known === pseudo.status && this.#status(value, valueEnd);
    switch (known) {
      case pseudo.authority:
        return this.#once(saw.authority) && this.#authority(nameEnd, value, valueEnd, id);
      case pseudo.method:
        return this.#once(saw.method) && this.#method(value, valueEnd);
      case pseudo.path:
        return this.#once(saw.path) && this.#path(value, valueEnd, id);
      case pseudo.scheme:
        return this.#once(saw.scheme) && this.#scheme(value, valueEnd);
      case pseudo.protocol:
        if (!this.#once(saw.protocol) || !this.#connectProtocol || valueEnd === value) return false;
        this.head.protocolStart = value;
        this.head.protocolEnd = valueEnd;
        return true;
      default:
        return false;
    }
  }

  #once(bit: number): boolean {
    const first = (this.#seen & bit) === 0;
    this.#seen |= bit;
    return first;
  }

  /** Becomes `host`: its name is written over the last letters of `:authority`, so that the line stays in one piece. */
  #authority(nameEnd: number, value: number, valueEnd: number, id: number): boolean {
    const { head } = this;
    const b = head.bytes;
    const slot = id & (judgedSlots - 1);
    if (id <= 0 || this.#authorities[slot] !== id) {
      if (!isHost(b, value, valueEnd)) return false;
      for (let i = value; i < valueEnd; i++) if (b[i] === 64) return false;
      if (id > 0) this.#authorities[slot] = id;
    }
    const name = nameEnd - 4;
    b[name] = 104;
    b[name + 1] = 111;
    b[name + 2] = 115;
    b[name + 3] = 116;
    head.pushWithId(id, token.host, name, nameEnd, value, valueEnd, head.used);
    return true;
  }

  #method(value: number, valueEnd: number): boolean {
    const { head } = this;
    const b = head.bytes;
    let hash = 0;
    for (let i = value; i < valueEnd; i++) {
      if (tokenLower[b[i] as number] === 0) return false;
      hash = hashStep(hash, b[i] as number);
    }
    head.method = findMethod(hash, b, value, valueEnd);
    head.methodStart = value;
    head.methodEnd = head.method === 0 ? valueEnd : value;
    return valueEnd > value;
  }

  #path(value: number, valueEnd: number, id: number): boolean {
    const { head } = this;
    head.targetStart = value;
    head.targetId = id;
    const slot = id & (judgedSlots - 1);
    if (id > 0 && this.#paths[slot] === id) {
      head.targetEnd = valueEnd;
      head.queryStart = value + (this.#queries[slot] as number);
      head.pathMarks = this.#marks[slot] as number;
      return true;
    }
    head.pathMarks = targetMarks(head.bytes, value, valueEnd, head, 0);
    if (valueEnd === value || head.targetEnd !== valueEnd) return false;
    if (id > 0) {
      this.#paths[slot] = id;
      this.#queries[slot] = head.queryStart - value;
      this.#marks[slot] = head.pathMarks;
    }
    return true;
  }

  #scheme(value: number, valueEnd: number): boolean {
    const { head } = this;
    const b = head.bytes;
    for (let i = value; i < valueEnd; i++) {
      const c = b[i] as number;
      const lower = c | 0x20;
      const mark = c === 43 || c === 45 || c === 46 || (c >= 48 && c <= 57);
      if (!(lower >= 97 && lower <= 122) && !(mark && i > value)) return false;
    }
    if (isWord(b, value, valueEnd, httpWord)) head.scheme = scheme.http;
    else if (isWord(b, value, valueEnd, httpsWord)) head.scheme = scheme.https;
    else {
      head.scheme = scheme.other;
      head.schemeStart = value;
      head.schemeEnd = valueEnd;
    }
    return valueEnd > value;
  }

  /** Three digits; 101 does not exist in HTTP/2 (RFC 9113 section 8.6). */
  #status(value: number, valueEnd: number): boolean {
    if (!this.#once(saw.status) || valueEnd - value !== 3) return false;
    let status = 0;
    for (let i = value; i < valueEnd; i++) {
      const digit = (this.head.bytes[i] as number) - 48;
      if (digit < 0 || digit > 9) return false;
      status = status * 10 + digit;
    }
    this.head.status = status;
    return status >= 100 && status !== 101;
  }

  /** What can only be judged with all fields in hand. */
  finish(): number {
    if (this.kind === 'ignored') return headVerdict.ok;
    if (this.verdict === headVerdict.ok && !this.#isComplete()) this.#reject(headVerdict.malformed);
    if (this.verdict === headVerdict.ok && this.#crumbs > 1) joinCookies(this.head, this.#crumbs);
    this.head.fieldsEnd = this.head.used;
    return this.verdict;
  }

  #isComplete(): boolean {
    if (this.kind === 'trailers') return true;
    if (this.kind === 'response') return (this.#seen & saw.status) !== 0;
    return this.head.method === method.CONNECT ? this.#isConnect() : this.#isRequest();
  }

  #isRequest(): boolean {
    const { head } = this;
    const needed = saw.method | saw.path | saw.scheme;
    if ((this.#seen & needed) !== needed || (this.#seen & saw.protocol) !== 0 || !head.has(token.host)) return false;
    const first = head.bytes[head.targetStart];
    if (first === 47) return true;
    return first === 42 && head.method === method.OPTIONS && head.targetEnd === head.targetStart + 1;
  }

  /** RFC 9113 section 8.5: only :authority, which is the target; or RFC 8441: like a request, with :protocol. */
  #isConnect(): boolean {
    const { head } = this;
    if ((this.#seen & saw.authority) === 0) return false;
    const others = this.#seen & (saw.path | saw.scheme);
    if ((this.#seen & saw.protocol) !== 0) {
      return others === (saw.path | saw.scheme) && head.bytes[head.targetStart] === 47;
    }
    const at = head.find(token.host) * fieldStride;
    if (others !== 0 || at < 0) return false;
    head.targetStart = head.fields[at + 3] as number;
    head.targetEnd = head.fields[at + 4] as number;
    head.queryStart = head.targetEnd;
    return head.targetEnd > head.targetStart;
  }
}

/** RFC 9113 section 8.2.3: the crumbs become one field, in the place of the first; empty ones are left out. */
function joinCookies(head: Head, crumbs: number): void {
  const first = head.find(token.cookie);
  const f = head.fields;
  let length = 'cookie: '.length;
  for (let i = first; i >= 0; i = head.find(token.cookie, i + 1)) {
    length += (f[i * fieldStride + 4] as number) - (f[i * fieldStride + 3] as number) + 2;
  }
  head.reserve(length + crumbs);
  const b = head.bytes;
  const start = head.used;
  let p = start + b.latin1Write('cookie: ', start, 8);
  for (let i = first; i >= 0; i = head.find(token.cookie, i + 1)) {
    const from = f[i * fieldStride + 3] as number;
    const to = f[i * fieldStride + 4] as number;
    if (to > from && p > start + 8) {
      b[p++] = 59;
      b[p++] = 32;
    }
    b.copy(b, p, from, to);
    p += to - from;
    if (i !== first) f[i * fieldStride] = removedToken;
  }
  b[p] = 13;
  b[p + 1] = 10;
  head.used = p + 2;
  const at = first * fieldStride;
  f[at + 1] = start;
  f[at + 2] = start + 6;
  f[at + 3] = start + 8;
  f[at + 4] = p;
  f[at + 5] = head.used;
  head.ids[first] = 0;
}
