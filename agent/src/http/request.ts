/**
 * A request as matchers, policies and logs see it: a RequestView over the parsed head. Strings are made when asked for
 * and kept until what they show is edited.
 */
import type { Head } from '../http1/head.ts';
import { type HeaderName, method, token } from '../http1/known-headers.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import type { ByteRange, RequestView } from './request-view.ts';

const grpcType = new TextEncoder().encode('application/grpc');
const plus = '+'.charCodeAt(0);

/** Whether a value is application/grpc or application/grpc+x. */
export function isGrpcType(bytes: Uint8Array, start: number, end: number): boolean {
  const length = grpcType.length;
  // Most bodies are of another type: told by one byte.
  if (end - start < length || bytes[start + length - 1] !== grpcType[length - 1]) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== grpcType[i]) return false;
  return end - start === length || bytes[start + length] === plus;
}

/** The same of a message's content-type; false without one. */
export function isGrpcMessage(head: Head): boolean {
  const index = head.find(token['content-type']);
  return index >= 0 && isGrpcType(head.bytes, head.valueStart(index), head.valueEnd(index));
}

export class Request implements RequestView {
  head: Head;
  connection: ConnectionInfo;
  /** How the client came, by its connection or, where it is trusted, by x-forwarded-proto. */
  scheme: 'http' | 'https' = 'http';
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' = 'HTTP/1.1';
  remoteIp = '';
  /** The caller may steer the router by x-envoy headers. */
  internal = false;
  #path: string | null = null;
  #pathOnly: string | null = null;
  #authority: string | null = null;
  #isGrpc: boolean | null = null;

  constructor(head: Head, connection: ConnectionInfo) {
    this.head = head;
    this.connection = connection;
  }

  /** To be called when a new head was parsed. */
  begin(connection: ConnectionInfo): void {
    this.connection = connection;
    this.scheme = connection.tlsVersion === '' ? 'http' : 'https';
    const { version } = this.head;
    this.protocol = version === 11 ? 'HTTP/1.1' : version === 20 ? 'HTTP/2' : 'HTTP/1.0';
    this.remoteIp = connection.remoteIp;
    this.internal = false;
    this.forget();
  }

  /** Path, host or other headers have changed. */
  forget(): void {
    this.#isGrpc = null;
    this.#path = null;
    this.#pathOnly = null;
    this.#authority = null;
  }

  get method(): string {
    return this.head.methodName();
  }

  /** A CONNECT has none: its target is an authority. */
  get path(): string {
    return (this.#path ??=
      this.head.method === method.CONNECT ? '' : this.head.text(this.head.targetStart, this.head.targetEnd));
  }

  get pathOnly(): string {
    const { head } = this;
    if (head.queryStart === head.targetEnd) return this.path;
    return (this.#pathOnly ??= head.text(head.targetStart, head.queryStart));
  }

  get authority(): string {
    if (this.#authority === null) {
      const index = this.head.find(token.host);
      this.#authority = index < 0 ? '' : this.head.value(index);
    }
    return this.#authority;
  }

  header(name: string): string | null {
    if (name.charCodeAt(0) === 58) return this.#pseudo(name);
    return this.head.get(name);
  }

  locate(name: HeaderName, into: ByteRange): boolean {
    if (name.text === ':path') {
      if (this.head.method === method.CONNECT) return false;
      into.bytes = this.head.bytes;
      into.start = this.head.targetStart;
      into.end = this.head.targetEnd;
      return true;
    }
    return locateValue(
      this.head,
      name.text === ':authority' ? this.head.find(token.host) : this.head.findHeader(name),
      into,
    );
  }

  locatePath(into: ByteRange): boolean {
    const { head } = this;
    if (head.method === method.CONNECT) return false;
    into.bytes = head.bytes;
    into.start = head.targetStart;
    into.end = head.queryStart;
    return true;
  }

  headers(name: string): readonly string[] {
    if (name.charCodeAt(0) !== 58) return this.head.getAll(name);
    const value = this.#pseudo(name);
    return value === null ? [] : [value];
  }

  #pseudo(name: string): string | null {
    switch (name) {
      case ':method':
        return this.method;
      case ':path':
        return this.head.method === method.CONNECT ? null : this.path;
      case ':authority':
        return this.authority;
      case ':scheme':
        return this.#saidScheme();
      default:
        return null;
    }
  }

  /** What an HTTP/2 client says and an upstream will hear, in lower case; the connection's where nobody says one. */
  #saidScheme(): string {
    return this.head.scheme === 0 ? this.scheme : this.head.schemeName().toLowerCase();
  }

  get isGrpc(): boolean {
    return (this.#isGrpc ??= isGrpcMessage(this.head));
  }
}

/** The value of a field as a range; false for an index below 0. */
export function locateValue(head: Head, index: number, into: ByteRange): boolean {
  if (index < 0) return false;
  into.bytes = head.bytes;
  into.start = head.valueStart(index);
  into.end = head.valueEnd(index);
  return true;
}
