/**
 * What the TLS inspector needs of a ClientHello (RFC 8446 4.1.2): server name and ALPN list. Reads the bytes from
 * their start each time, so any split into packets or records gives the same answer.
 * Invariant: 'more' only while the bytes so far can still become a ClientHello within the limit.
 */

export type ClientHelloResult =
  | { readonly kind: 'more' }
  /** These bytes are no TLS, or no ClientHello that could be read. */
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'hello'; readonly serverName: string; readonly alpn: readonly string[] };

/** Handshake bytes of a hello; hybrid key shares need about 1.3 KiB each. */
export const maxClientHelloBytes = 65_536;

const more: ClientHelloResult = { kind: 'more' };
const notTls: ClientHelloResult = { kind: 'not-tls' };

const maxRecordBytes = 16_384;

/** The handshake message's bytes out of the records, and whether there are enough of them. */
function joinRecords(bytes: Uint8Array): { readonly message: Buffer; readonly state: 'whole' | 'more' | 'not-tls' } {
  const parts: Uint8Array[] = [];
  let have = 0;
  let wanted = 4;
  let at = 0;
  while (have < wanted) {
    const problem = recordProblem(bytes, at);
    if (problem !== 'ok') return { message: empty, state: problem };
    const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    have += part.length;
    if (have >= 4 && wanted === 4) {
      const head = Buffer.concat(parts);
      wanted = 4 + head.readUIntBE(1, 3);
      if (head[0] !== 1 || wanted > maxClientHelloBytes) return { message: empty, state: 'not-tls' };
    } else if (have > 0 && wanted === 4 && parts.find((p) => p.length > 0)?.[0] !== 1) {
      return { message: empty, state: 'not-tls' };
    }
    if (have < wanted && part.length < length) return { message: empty, state: 'more' };
    at += 5 + length;
  }
  return { message: Buffer.concat(parts).subarray(4, wanted), state: 'whole' };
}

const empty = Buffer.alloc(0);

/** Judges a record's header as far as it is there: type handshake, version 3.x, a length that may be. */
function recordProblem(bytes: Uint8Array, at: number): 'ok' | 'more' | 'not-tls' {
  const left = bytes.length - at;
  if (left > 0 && bytes[at] !== 0x16) return 'not-tls';
  if (left > 1 && bytes[at + 1] !== 3) return 'not-tls';
  if (left > 2 && (bytes[at + 2] ?? 9) > 4) return 'not-tls';
  if (left < 5) return 'more';
  const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
  return length === 0 || length > maxRecordBytes ? 'not-tls' : 'ok';
}

/** A cursor that refuses to leave its bytes. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: 1 | 2): number {
    if (this.left < size) throw new RangeError('cut off');
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  take(length: number): Buffer {
    if (this.left < length) throw new RangeError('cut off');
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  /** A vector with its length in front. */
  vector(size: 1 | 2): Buffer {
    return this.take(this.number(size));
  }
}

const extensionTypes = { serverName: 0, alpn: 16 } as const;

/** RFC 6066 3: the first host name, in lower case as Envoy compares it. */
function readServerName(extension: Buffer): string {
  const list = new Reader(new Reader(extension).vector(2));
  while (list.left > 0) {
    const type = list.number(1);
    const name = list.vector(2);
    if (type === 0) return name.toString('latin1').toLowerCase();
  }
  return '';
}

/** RFC 7301 3.1. */
function readAlpn(extension: Buffer): string[] {
  const list = new Reader(new Reader(extension).vector(2));
  const names: string[] = [];
  while (list.left > 0) names.push(list.vector(1).toString('latin1'));
  return names;
}

function readHello(message: Buffer): ClientHelloResult {
  const reader = new Reader(message);
  reader.take(2 + 32); // legacy_version, random
  reader.vector(1); // legacy_session_id
  reader.vector(2); // cipher_suites
  reader.vector(1); // legacy_compression_methods
  let serverName = '';
  let alpn: string[] = [];
  if (reader.left === 0) return { kind: 'hello', serverName, alpn };
  const extensions = new Reader(reader.vector(2));
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (type === extensionTypes.serverName) serverName = readServerName(body);
    else if (type === extensionTypes.alpn) alpn = readAlpn(body);
  }
  return { kind: 'hello', serverName, alpn };
}

/** Looks at the first bytes a client has sent. */
export function inspectClientHello(bytes: Uint8Array): ClientHelloResult {
  const { message, state } = joinRecords(bytes);
  if (state === 'more') return bytes.length >= maxClientHelloBytes ? notTls : more;
  if (state === 'not-tls') return notTls;
  try {
    return readHello(message);
  } catch (error) {
    if (error instanceof RangeError) return notTls;
    throw error;
  }
}
