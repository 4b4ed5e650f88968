/**
 * HPACK encoding (RFC 7541) from a Head: pseudo-headers first, what belongs to a connection left out. A field whose
 * identity is known (Head.ids) is found without a look at its bytes; others by their hash. A field enters the table when
 * it is seen for the second time, so that unique values (trace ids) do not push the useful ones out; when only its name
 * is, it enters for the sake of the name, which the next one of that name refers to.
 * Invariant: nothing is inserted that the peer's table, as last announced, would not hold.
 */
import { fieldStride, type Head, removedToken, scheme as schemes } from '../http1/head.ts';
import { method, methodText, token } from '../http1/known-headers.ts';
import { isWord } from '../http1/parse-head.ts';
import { copyWords, hashWords, padded, slack, viewOf } from '../http1/words.ts';
import { FieldIndex } from './field-index.ts';
import { FieldTable } from './field-table.ts';
import { initialTableSize } from './hpack-decoder.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { lineAt, staticCount, staticLines, staticName, staticToken, staticView } from './static-table.ts';

const seenSlots = 256;
/** A cookie shorter than this could be guessed bit by bit (RFC 7541 section 7.1.3). */
const guessableCookie = 20;

const nameIndex = { authority: 1, method: 2, path: 4, scheme: 6, status: 8 } as const;
const rootPath = 4;
/** As an id: never indexed, left out, or not worth an entry because no other message has that value. */
const never = -1;
const omit = -2;
const unique = -3;

/** Static index of each known name, by its token. */
const indexOfToken = new Uint8Array(64);
for (let i = staticCount; i > 0; i--) if ((staticToken[i] as number) < 64) indexOfToken[staticToken[i] as number] = i;
indexOfToken[0] = 0;

/** What is done with a field of each token: 0 nothing special, 1 left out, 2 looked at. */
const left = new Uint8Array(64);
const omitted = 1;
const looked = 2;
for (const name of [
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
] as const) {
  left[token[name]] = omitted;
}
for (const name of ['host', 'te', 'cookie', 'authorization', 'proxy-authorization', 'x-request-id'] as const)
  left[token[name]] = looked;

/** Texts of three digits, by status. */
const digits = viewOf(padded(Array.from({ length: 1000 }, (_, status) => String(status).padStart(3, '0')).join('')));
const staticStatuses = new Uint8Array(1000);
for (let i = 8; i <= 14; i++) {
  const value = (lineAt[i] as number) + ':status: '.length;
  staticStatuses[Number(staticLines.toString('latin1', value, value + 3))] = i;
}

const methodNames: readonly DataView[] = methodText.map((text) => viewOf(padded(text)));
const protocolName = viewOf(padded(':protocol'));
const trailersWord: Uint8Array = new TextEncoder().encode('trailers');

/** An upper bound of what a head is encoded in. */
export function encodedBound(head: Head): number {
  return head.used + head.count * 12 + 160 + slack;
}

export class HpackEncoder {
  readonly #table = new FieldTable(initialTableSize);
  readonly #largest: number;
  /** Sizes the peer has to be told at the beginning of the next block: the smallest since the last, and the last. */
  #smallest = -1;
  #announce = -1;
  /** Made with the first block: an idle connection pays nothing for it. */
  #index: FieldIndex | null = null;
  #seen = new Int32Array(0);
  #coin = 1;

  /** largest: our own bound for the table, whatever the peer allows. */
  constructor(largest: number) {
    this.#largest = largest;
    if (largest < initialTableSize) this.setPeerLimit(initialTableSize);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerLimit(size: number): void {
    const next = Math.min(size, this.#largest);
    if (next === this.#table.maxSize) return;
    this.#table.resize(next);
    this.#announce = next;
    this.#smallest = this.#smallest < 0 ? next : Math.min(this.#smallest, next);
  }

  /** Where the block ends. `to` must have encodedBound. `scheme` is used where the head does not say it. */
  request(head: Head, scheme: 'http' | 'https', to: DataView, at: number): number {
    let p = this.#begin(to, at);
    p = this.#method(head, to, p);
    const connect = head.method === method.CONNECT && head.protocolEnd === head.protocolStart;
    if (!connect) p = this.#scheme(head, scheme, to, p);
    p = this.#authority(head, to, p);
    if (!connect) p = this.#path(head, to, p);
    if (head.protocolEnd > head.protocolStart) {
      const { protocolStart, protocolEnd } = head;
      p = this.#field(protocolName, 0, 9, head.view, protocolStart, protocolEnd, 0, 0, to, p);
    }
    return this.#fields(head, true, to, p);
  }

  response(head: Head, to: DataView, at: number): number {
    let p = this.#begin(to, at);
    const known = staticStatuses[head.status] as number;
    if (known !== 0) to.setUint8(p++, 128 | known);
    else {
      const value = head.status * 3;
      const name = lineAt[nameIndex.status] as number;
      p = this.#field(staticView, name, name + 7, digits, value, value + 3, nameIndex.status, 0, to, p);
    }
    return this.#fields(head, false, to, p);
  }

  trailers(head: Head, to: DataView, at: number): number {
    return this.#fields(head, true, to, this.#begin(to, at));
  }

  #begin(to: DataView, at: number): number {
    if (this.#index === null) {
      this.#index = new FieldIndex(this.#table);
      this.#seen = new Int32Array(seenSlots);
    }
    if (this.#announce < 0) return at;
    let p = at;
    if (this.#smallest < this.#announce) p = writeInteger(to, p, 0x20, 31, this.#smallest);
    p = writeInteger(to, p, 0x20, 31, this.#announce);
    this.#announce = -1;
    this.#smallest = -1;
    return p;
  }

  #method(head: Head, to: DataView, at: number): number {
    if (head.method === method.GET || head.method === method.POST) {
      to.setUint8(at, head.method === method.GET ? 0x82 : 0x83);
      return at + 1;
    }
    const name = nameIndex.method;
    if (head.method === 0) return this.#pseudo(name, 7, head.view, head.methodStart, head.methodEnd, 0, to, at);
    const values = methodNames[head.method] as DataView;
    return this.#pseudo(name, 7, values, 0, values.byteLength - slack, 0, to, at);
  }

  #scheme(head: Head, fallback: 'http' | 'https', to: DataView, at: number): number {
    if (head.scheme === schemes.other) {
      const { view, schemeStart, schemeEnd } = head;
      return this.#pseudo(nameIndex.scheme, 7, view, schemeStart, schemeEnd, 0, to, at);
    }
    const https = head.scheme === 0 ? fallback === 'https' : head.scheme === schemes.https;
    to.setUint8(at, https ? 0x87 : 0x86);
    return at + 1;
  }

  #authority(head: Head, to: DataView, at: number): number {
    const index = head.find(token.host);
    if (index < 0) return at;
    const { view, fields } = head;
    const f = index * fieldStride;
    const known = index < head.idCount ? (head.ids[index] as number) : 0;
    // The static table has a `host` as well, which is not this.
    const id = known > staticCount || known === nameIndex.authority ? known : Math.min(known, 0);
    return this.#pseudo(nameIndex.authority, 10, view, fields[f + 3] as number, fields[f + 4] as number, id, to, at);
  }

  #path(head: Head, to: DataView, at: number): number {
    const { view, targetStart, targetEnd } = head;
    if (targetEnd === targetStart + 1 && view.getUint8(targetStart) === 47) {
      to.setUint8(at, 128 | rootPath);
      return at + 1;
    }
    return this.#pseudo(nameIndex.path, 5, view, targetStart, targetEnd, head.targetId, to, at);
  }

  /** A pseudo-header whose name is that of a static entry. */
  #pseudo(
    index: number,
    nameBytes: number,
    values: DataView,
    value: number,
    valueEnd: number,
    id: number,
    to: DataView,
    at: number,
  ): number {
    if (id > 0) {
      const known = this.#known(id, to, at);
      if (known > 0) return known;
    }
    const name = lineAt[index] as number;
    return this.#field(staticView, name, name + nameBytes, values, value, valueEnd, index, id, to, at);
  }

  /** All fields, without those of the connection; `host` was written as :authority, and trailers have none. */
  #fields(head: Head, skipHost: boolean, to: DataView, at: number): number {
    const { view, fields, ids, idCount, count } = head;
    let p = at;
    for (let i = 0; i < count; i++) {
      const f = i * fieldStride;
      const known = fields[f] as number;
      if (known === removedToken) continue;
      const special = left[known] as number;
      if (special === omitted || (known === token.host && skipHost)) continue;
      let id = i < idCount ? (ids[i] as number) : 0;
      if (special === looked) {
        id = this.#look(head, i, known, id);
        if (id === omit) continue;
      }
      if (id > 0) {
        const next = this.#known(id, to, p);
        if (next > 0) {
          p = next;
          continue;
        }
      }
      p = this.#field(
        view,
        fields[f + 1] as number,
        fields[f + 2] as number,
        view,
        fields[f + 3] as number,
        fields[f + 4] as number,
        indexOfToken[known] as number,
        id,
        to,
        p,
      );
    }
    return p;
  }

  /** The id of a field that may have to be left out, or kept out of tables. */
  #look(head: Head, index: number, known: number, id: number): number {
    const f = index * fieldStride;
    const value = head.fields[f + 3] as number;
    const valueEnd = head.fields[f + 4] as number;
    switch (known) {
      case token.host:
        return id;
      case token.te:
        return isWord(head.bytes, value, valueEnd, trailersWord) ? id : omit;
      case token.cookie:
        return valueEnd - value < guessableCookie ? never : id;
      case token['x-request-id']:
        return id === 0 ? unique : id;
      default:
        return never;
    }
  }

  /** Writes the index of a field that is in a table, by its identity alone; 0 when it is not known to be there. */
  #known(id: number, to: DataView, at: number): number {
    if (id <= staticCount) {
      to.setUint8(at, 128 | id);
      return at + 1;
    }
    const number = (this.#index as FieldIndex).byId(id);
    return number < 0 ? 0 : this.#indexed(number, to, at);
  }

  #indexed(number: number, to: DataView, at: number): number {
    const index = staticCount + this.#table.inserted - number;
    if (index >= 127) return writeInteger(to, at, 128, 127, index);
    to.setUint8(at, 128 | index);
    return at + 1;
  }

  #field(
    names: DataView,
    name: number,
    nameEnd: number,
    values: DataView,
    value: number,
    valueEnd: number,
    knownName: number,
    id: number,
    to: DataView,
    at: number,
  ): number {
    if (id === never) {
      const index = knownName !== 0 ? knownName : staticName(names, name, nameEnd);
      return literal(names, name, nameEnd, values, value, valueEnd, index, 0x10, 15, to, at);
    }
    const table = this.#table;
    const entries = this.#index as FieldIndex;
    const nameBytes = nameEnd - name;
    const valueBytes = valueEnd - value;
    const nameHash = hashWords(names, name, nameEnd, 0) || 1;
    const hash = id === unique ? 0 : hashWords(values, value, valueEnd, nameHash) || 1;
    if (id !== unique) {
      const number = entries.byField(hash, names, name, nameBytes, values, value, valueBytes);
      if (number >= 0) {
        if (id > 0) entries.rememberId(id, number);
        return this.#indexed(number, to, at);
      }
    }
    const index = knownName !== 0 ? knownName : this.#nameIndex(nameHash, names, name, nameEnd);
    const isNew = index === 0 && this.#isSeen(nameHash);
    const enters = nameBytes + valueBytes + 32 <= table.maxSize && ((id !== unique && this.#isSeen(hash)) || isNew);
    if (!enters) return literal(names, name, nameEnd, values, value, valueEnd, index, 0, 15, to, at);
    table.insert(names, name, nameBytes, values, value, valueBytes, 0, 0);
    entries.add(hash, knownName === 0 ? nameHash : 0);
    if (id > 0) entries.rememberId(id, table.inserted - 1);
    return literal(names, name, nameEnd, values, value, valueEnd, index, 0x40, 63, to, at);
  }

  /** Index of an entry of that name, which has no token with a static one; 0 when there is none. */
  #nameIndex(nameHash: number, names: DataView, name: number, nameEnd: number): number {
    const number = (this.#index as FieldIndex).byName(nameHash, names, name, nameEnd - name);
    return number < 0 ? staticName(names, name, nameEnd) : staticCount + this.#table.inserted - number;
  }

  /**
   * Whether something with that hash was asked about before. A coin says who keeps a place: if it always were the last,
   * of two that come in turn none would ever be seen twice.
   */
  #isSeen(hash: number): boolean {
    const seen = this.#seen;
    const slot = (hash >>> 8) & (seenSlots - 1);
    if (seen[slot] === hash) return true;
    this.#coin = (Math.imul(this.#coin, 1_664_525) + 1_013_904_223) | 0;
    if (seen[slot] === 0 || this.#coin < 0) seen[slot] = hash;
    return false;
  }
}

/** Writes an integer behind the bits of `first` (RFC 7541 section 5.1); where it ends. */
export function writeInteger(to: DataView, at: number, first: number, mask: number, value: number): number {
  if (value < mask) {
    to.setUint8(at, first | value);
    return at + 1;
  }
  to.setUint8(at, first | mask);
  let p = at + 1;
  let rest = value - mask;
  while (rest > 127) {
    to.setUint8(p++, (rest & 127) | 128);
    rest >>>= 7;
  }
  to.setUint8(p, rest);
  return p + 1;
}

function literal(
  names: DataView,
  name: number,
  nameEnd: number,
  values: DataView,
  value: number,
  valueEnd: number,
  index: number,
  first: number,
  mask: number,
  to: DataView,
  at: number,
): number {
  let p = writeInteger(to, at, first, mask, index);
  // What stays in the table is worth the shorter form; a literal for once is not.
  const huffman = first === 0x40;
  if (index === 0) p = writeString(names, name, nameEnd, huffman, to, p);
  return writeString(values, value, valueEnd, huffman, to, p);
}

function writeString(b: DataView, start: number, end: number, huffman: boolean, to: DataView, at: number): number {
  const length = end - start;
  if (huffman) {
    const short = huffmanLength(b, start, end);
    if (short < length) return huffmanEncode(b, start, end, to, writeInteger(to, at, 128, 127, short));
  }
  const p = writeInteger(to, at, 0, 127, length);
  copyWords(b, start, to, p, length);
  return p + length;
}
