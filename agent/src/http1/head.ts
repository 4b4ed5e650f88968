/**
 * A message head as ranges over bytes of its own: what the parser found, what filters change, what the serialiser
 * writes. Pooled and used again for message after message.
 * Invariant: every offset is relative to the start of the message, hence an index of `bytes` once `take` has copied it;
 * text that is added later lies behind it in the same buffer, laid out as `name: value CRLF`.
 */
import { type HeaderName, methodText, tokenOf } from './known-headers.ts';
import { copyWords, padded, slack, viewOf } from './words.ts';

/** Layout of one field in `fields`. `line` is the end of a line that can be copied as it is, else 0. */
export const fieldAt = { token: 0, name: 1, nameEnd: 2, value: 3, valueEnd: 4, line: 5 } as const;
export const fieldStride = 6;

/** Token of a field that was removed. */
export const removedToken = -1;

/** Marks of a request target's path (without query). */
export const pathMark = {
  percent: 1,
  backslash: 2,
  dotAfterSlash: 4,
  doubleSlash: 8,
  /** A `#` in the target. HTTP/1.1 heads never have it: the parser refuses them. */
  fragment: 256,
} as const;

/** Numbers of :scheme; 0 where there was none. */
export const scheme = { http: 1, https: 2, other: 3 } as const;

/** Node's own decoder without the argument handling of toString and write. */
interface Latin1Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, start: number, length: number): number;
}

type HeadBuffer = Buffer & Latin1Buffer;

const allocate = (bytes: number): HeadBuffer => Buffer.allocUnsafeSlow(bytes) as unknown as HeadBuffer;

const initialBytes = 1024;
const keptBytes = 8192;
const initialFields = 32;
const noIds = new Float64Array(0);

/** A header line that never changes, encoded once. */
export interface StaticHeader {
  readonly token: number;
  readonly line: Uint8Array;
  /** The line with slack behind it. */
  readonly view: DataView;
  readonly nameLength: number;
  /** As in Head.ids. */
  readonly id: number;
}

/** The static table of HPACK has the ids below. */
let nextFieldId = 64;

/** An id for Head.ids that this thread has not used yet. */
export function newFieldId(): number {
  return nextFieldId++;
}

/** Encodes `name: value CRLF` for Head.addStatic. The name must be lower case. */
export function staticHeader(name: string, value: string): StaticHeader {
  const text = `${name}: ${value}\r\n`;
  const bytes = padded(text);
  return {
    token: tokenOf(name),
    line: bytes.subarray(0, text.length),
    view: viewOf(bytes),
    nameLength: name.length,
    id: newFieldId(),
  };
}

/** Above this a native copy is the faster one. */
const longRange = 512;

function copyRange(from: Head, to: Head, length: number): void {
  if (length > longRange) from.bytes.copy(to.bytes, 0, 0, length);
  else copyWords(from.view, 0, to.view, 0, length);
}

export class Head {
  bytes: HeadBuffer;
  /** The same bytes. */
  view: DataView;
  /** End of the used part of `bytes`. */
  used = 0;
  fields: Int32Array;
  count = 0;
  /** Which known tokens were seen, as two masks. */
  seenLow = 0;
  seenHigh = 0;

  /** Requests: number of the method, and the target in [targetStart, targetEnd). */
  method = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Position of `?`, or targetEnd. */
  queryStart = 0;
  pathMarks = 0;
  /** The request line can be copied as it stands: single spaces, HTTP/1.1, target untouched. */
  lineCanonical = false;
  /** Authority of an absolute-form target in [authorityStart, authorityEnd), or an empty range. */
  authorityStart = 0;
  authorityEnd = 0;
  /** Responses: status, and the reason phrase. */
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;
  /** 10 for HTTP/1.0, 11 for HTTP/1.1, as sent; 20 for HTTP/2. */
  version = 0;
  /** HTTP/2 only: the number of :scheme, and its text where that is neither http nor https. */
  scheme = 0;
  /** HTTP/2 only, else empty ranges: a method without a number (`method` is 0), :protocol (RFC 8441). */
  methodStart = 0;
  methodEnd = 0;
  schemeStart = 0;
  schemeEnd = 0;
  protocolStart = 0;
  protocolEnd = 0;
  /**
   * Identity of the bytes of field i < idCount, or 0: equal ids mean equal name and value for the life of the thread,
   * so that the HPACK encoder need not look at them. Negative: never to be indexed. `targetId` is that of :path.
   */
  ids: Float64Array = noIds;
  idCount = 0;
  targetId = 0;

  /** -1 without content-length. */
  contentLength = -1;
  /** How many transfer-encoding fields there were, and whether the only one is `chunked`. */
  transferEncodings = 0;
  chunked = false;
  connectionClose = false;
  connectionKeepAlive = false;
  connectionUpgrade = false;
  /** Connection names other fields that have to go. */
  connectionNames = false;
  expectContinue = false;
  /** Where the blank line starts. */
  fieldsEnd = 0;

  /** room: bytes, and fields, for the first messages; more is taken when one needs it. */
  constructor(room: number = initialBytes, fields: number = initialFields) {
    this.bytes = allocate(room);
    this.view = new DataView(this.bytes.buffer);
    this.fields = new Int32Array(fields * fieldStride);
  }

  reset(): void {
    this.used = 0;
    this.count = 0;
    this.seenLow = 0;
    this.seenHigh = 0;
    this.method = 0;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.queryStart = 0;
    this.pathMarks = 0;
    this.lineCanonical = false;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.status = 0;
    this.reasonStart = 0;
    this.reasonEnd = 0;
    this.version = 0;
    this.scheme = 0;
    this.methodEnd = this.methodStart;
    this.schemeEnd = this.schemeStart;
    this.protocolEnd = this.protocolStart;
    this.idCount = 0;
    this.targetId = 0;
    this.contentLength = -1;
    this.transferEncodings = 0;
    this.chunked = false;
    this.connectionClose = false;
    this.connectionKeepAlive = false;
    this.connectionUpgrade = false;
    this.connectionNames = false;
    this.expectContinue = false;
    this.fieldsEnd = 0;
  }

  /** Gives memory of an unusually large message back. To be called when the object goes back to its pool. */
  shrink(): void {
    if (this.bytes.length > keptBytes) this.#setBytes(allocate(initialBytes));
  }

  /** Makes room for `more` bytes behind `used`; `bytes` may be another buffer afterwards. */
  reserve(more: number): void {
    this.#reserve(more);
  }

  /** Becomes a copy of another head, which must have slack behind `used`. Takes memory only where there is too little. */
  copyFrom(other: Head): void {
    this.used = 0;
    this.#reserve(other.used);
    copyRange(other, this, other.used);
    this.used = other.used;
    this.#copyFields(other);
    this.seenLow = other.seenLow;
    this.seenHigh = other.seenHigh;
    this.method = other.method;
    this.targetStart = other.targetStart;
    this.targetEnd = other.targetEnd;
    this.queryStart = other.queryStart;
    this.pathMarks = other.pathMarks;
    this.lineCanonical = other.lineCanonical;
    this.authorityStart = other.authorityStart;
    this.authorityEnd = other.authorityEnd;
    this.status = other.status;
    this.reasonStart = other.reasonStart;
    this.reasonEnd = other.reasonEnd;
    this.version = other.version;
    this.scheme = other.scheme;
    this.methodStart = other.methodStart;
    this.methodEnd = other.methodEnd;
    this.schemeStart = other.schemeStart;
    this.schemeEnd = other.schemeEnd;
    this.protocolStart = other.protocolStart;
    this.protocolEnd = other.protocolEnd;
    this.targetId = other.targetId;
    this.contentLength = other.contentLength;
    this.transferEncodings = other.transferEncodings;
    this.chunked = other.chunked;
    this.connectionClose = other.connectionClose;
    this.connectionKeepAlive = other.connectionKeepAlive;
    this.connectionUpgrade = other.connectionUpgrade;
    this.connectionNames = other.connectionNames;
    this.expectContinue = other.expectContinue;
    this.fieldsEnd = other.fieldsEnd;
  }

  /** The method's text, also of one without a number. */
  methodName(): string {
    return this.method === 0 ? this.text(this.methodStart, this.methodEnd) : (methodText[this.method] as string);
  }

  /** The scheme's text, or '' where the message did not say one. */
  schemeName(): string {
    if (this.scheme === scheme.other) return this.text(this.schemeStart, this.schemeEnd);
    return this.scheme === scheme.http ? 'http' : this.scheme === scheme.https ? 'https' : '';
  }

  /** Appends one field whose bytes are known by an id. */
  pushWithId(
    id: number,
    token: number,
    name: number,
    nameEnd: number,
    value: number,
    valueEnd: number,
    line: number,
  ): void {
    const index = this.count;
    if (index >= this.ids.length) this.#growIds();
    this.ids[index] = id;
    const at = index * fieldStride;
    if (at === this.fields.length) this.#growFields();
    const f = this.fields;
    f[at] = token;
    f[at + 1] = name;
    f[at + 2] = nameEnd;
    f[at + 3] = value;
    f[at + 4] = valueEnd;
    f[at + 5] = line;
    this.count = index + 1;
    this.idCount = index + 1;
    if (token < 32) this.seenLow |= 1 << token;
    else this.seenHigh |= 1 << (token - 32);
  }

  #copyFields(other: Head): void {
    const { count, idCount } = other;
    const numbers = count * fieldStride;
    while (this.fields.length < numbers) this.#growFields();
    while (this.ids.length < idCount) this.#growIds();
    const { fields, ids } = other;
    const toFields = this.fields;
    const toIds = this.ids;
    for (let i = 0; i < numbers; i++) toFields[i] = fields[i] as number;
    for (let i = 0; i < idCount; i++) toIds[i] = ids[i] as number;
    this.count = count;
    this.idCount = idCount;
  }

  #growIds(): void {
    const grown = new Float64Array(Math.max(initialFields, this.ids.length * 2));
    grown.set(this.ids);
    this.ids = grown;
  }

  /** Copies the parsed bytes, so that the head outlives the read buffer. The blank line at the end is left out. */
  take(buffer: Buffer, start: number): void {
    const length = this.fieldsEnd;
    this.#reserve(length);
    const to = this.bytes;
    if (length < 48) for (let i = 0; i < length; i++) to[i] = buffer[start + i] as number;
    else buffer.copy(to, 0, start, start + length);
    this.used = length;
  }

  /** Appends one parsed field; offsets relative to the message. */
  push(token: number, name: number, nameEnd: number, value: number, valueEnd: number, line: number): void {
    const at = this.count * fieldStride;
    if (at === this.fields.length) this.#growFields();
    const f = this.fields;
    f[at] = token;
    f[at + 1] = name;
    f[at + 2] = nameEnd;
    f[at + 3] = value;
    f[at + 4] = valueEnd;
    f[at + 5] = line;
    this.count++;
    if (token > 0) this.#see(token);
  }

  #see(token: number): void {
    if (token < 32) this.seenLow |= 1 << token;
    else this.seenHigh |= 1 << (token - 32);
  }

  /** Whether a field with this known token was ever there; a removed one may still say yes. */
  has(token: number): boolean {
    return token < 32 ? (this.seenLow & (1 << token)) !== 0 : (this.seenHigh & (1 << (token - 32))) !== 0;
  }

  /** Index of the first field with this known token from `from` on, or -1. */
  find(token: number, from = 0): number {
    if (!this.has(token)) return -1;
    for (let i = from; i < this.count; i++) if (this.fields[i * fieldStride] === token) return i;
    return -1;
  }

  /** Index of the first field of this lower-case name from `from` on, or -1. */
  findName(name: string, from = 0): number {
    const known = tokenOf(name);
    return known === 0 ? this.#findUnknown(name, from) : this.find(known, from);
  }

  /** As findName, for a name that was looked up before. */
  findHeader(name: HeaderName): number {
    return name.token === 0 ? this.#findUnknown(name.text, 0) : this.find(name.token);
  }

  #findUnknown(name: string, from: number): number {
    for (let i = from; i < this.count; i++) if (this.fields[i * fieldStride] === 0 && this.#isNamed(i, name)) return i;
    return -1;
  }

  #isNamed(index: number, name: string): boolean {
    const at = index * fieldStride;
    const start = this.fields[at + 1] as number;
    if ((this.fields[at + 2] as number) - start !== name.length) return false;
    for (let i = 0; i < name.length; i++) if (this.bytes[start + i] !== name.charCodeAt(i)) return false;
    return true;
  }

  value(index: number): string {
    return this.text(this.valueStart(index), this.valueEnd(index));
  }

  valueStart(index: number): number {
    return this.fields[index * fieldStride + 3] as number;
  }

  valueEnd(index: number): number {
    return this.fields[index * fieldStride + 4] as number;
  }

  /** Where a value stands in `bytes`. */
  valueRange(index: number): readonly [start: number, end: number] {
    const at = index * fieldStride;
    return [this.fields[at + 3] as number, this.fields[at + 4] as number];
  }

  name(index: number): string {
    const at = index * fieldStride;
    return this.text(this.fields[at + 1] as number, this.fields[at + 2] as number);
  }

  text(start: number, end: number): string {
    return start === end ? '' : this.bytes.latin1Slice(start, end);
  }

  /** First value of a lower-case name, or null. */
  get(name: string): string | null {
    const index = this.findName(name);
    return index < 0 ? null : this.value(index);
  }

  getAll(name: string): string[] {
    const found: string[] = [];
    for (let i = this.findName(name); i >= 0; i = this.findName(name, i + 1)) found.push(this.value(i));
    return found;
  }

  isRemoved(index: number): boolean {
    return this.fields[index * fieldStride] === removedToken;
  }

  removeAt(index: number): void {
    this.fields[index * fieldStride] = removedToken;
  }

  /** Removes every field with this known token. */
  remove(token: number): void {
    if (!this.has(token)) return;
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * fieldStride] === token) this.fields[i * fieldStride] = removedToken;
    }
    if (token < 32) this.seenLow &= ~(1 << token);
    else this.seenHigh &= ~(1 << (token - 32));
  }

  /** Removes every field whose token is in the mask of tokens below 32, in one pass. */
  removeLow(mask: number): void {
    if ((this.seenLow & mask) === 0) return;
    const f = this.fields;
    const end = this.count * fieldStride;
    for (let at = 0; at < end; at += fieldStride) {
      const token = f[at] as number;
      if (token > 0 && token < 32 && (mask & (1 << token)) !== 0) f[at] = removedToken;
    }
    this.seenLow &= ~mask;
  }

  /** Removes every field of this lower-case name. */
  removeName(name: string): void {
    for (let i = this.findName(name); i >= 0; i = this.findName(name, i + 1)) this.removeAt(i);
  }

  /** Appends a field at the end. The name must be lower case; value bytes are latin1. */
  add(name: string, value: string): void {
    const start = this.#writeLine(name, value);
    this.push(tokenOf(name), start, start + name.length, start + name.length + 2, this.used - 2, this.used);
  }

  addStatic(header: StaticHeader): void {
    const { nameLength, token } = header;
    const start = this.#writeStatic(header);
    const { used } = this;
    // Ids are of the first fields without a gap.
    if (this.idCount < this.count) this.push(token, start, start + nameLength, start + nameLength + 2, used - 2, used);
    else this.pushWithId(header.id, token, start, start + nameLength, start + nameLength + 2, used - 2, used);
  }

  #writeStatic(header: StaticHeader): number {
    const { length } = header.line;
    this.#reserve(length);
    const start = this.used;
    copyWords(header.view, 0, this.view, start, length);
    this.used = start + length;
    return start;
  }

  /** Replaces the value of one field and keeps its place. */
  setValue(index: number, value: string): void {
    const name = this.name(index);
    const start = this.#writeLine(name, value);
    if (index < this.idCount) this.ids[index] = 0;
    const at = index * fieldStride;
    const f = this.fields;
    f[at + 1] = start;
    f[at + 2] = start + name.length;
    f[at + 3] = start + name.length + 2;
    f[at + 4] = this.used - 2;
    f[at + 5] = this.used;
  }

  /** Sets the field of a line that never changes: the first one there is in place, others go, or it is appended. */
  setLine(header: StaticHeader): void {
    const index = this.find(header.token);
    if (index < 0) {
      this.addStatic(header);
      return;
    }
    const start = this.#writeStatic(header);
    if (index < this.idCount) this.ids[index] = header.id;
    const at = index * fieldStride;
    const f = this.fields;
    f[at + 1] = start;
    f[at + 2] = start + header.nameLength;
    f[at + 3] = start + header.nameLength + 2;
    f[at + 4] = this.used - 2;
    f[at + 5] = this.used;
    for (let i = this.find(header.token, index + 1); i >= 0; i = this.find(header.token, i + 1)) this.removeAt(i);
  }

  /** Sets the first field of that name in place and drops the others, or appends one. */
  set(name: string, value: string): void {
    const index = this.findName(name);
    if (index < 0) {
      this.add(name, value);
      return;
    }
    this.setValue(index, value);
    for (let i = this.findName(name, index + 1); i >= 0; i = this.findName(name, i + 1)) this.removeAt(i);
  }

  /** Replaces the request target. */
  setTarget(target: string): void {
    const start = this.#writeText(target);
    this.targetStart = start;
    this.targetEnd = this.used;
    this.targetId = 0;
    const query = target.indexOf('?');
    this.queryStart = query < 0 ? this.used : start + query;
    this.lineCanonical = false;
  }

  #writeLine(name: string, value: string): number {
    return this.#writeText(`${name}: ${value}\r\n`);
  }

  #writeText(text: string): number {
    this.#reserve(text.length);
    const start = this.used;
    this.used += this.bytes.latin1Write(text, start, text.length);
    return start;
  }

  #reserve(more: number): void {
    const needed = this.used + more + slack;
    if (needed <= this.bytes.length) return;
    const grown = allocate(Math.max(this.bytes.length * 2, needed));
    this.bytes.copy(grown, 0, 0, this.used);
    this.#setBytes(grown);
  }

  #setBytes(bytes: HeadBuffer): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  #growFields(): void {
    const grown = new Int32Array(this.fields.length * 2);
    grown.set(this.fields);
    this.fields = grown;
  }
}
