/**
 * A request as matchers, policies and logs see it: a RequestView over the parsed head. Strings are made when asked for
 * and kept until what they show is edited.
 */
import type { Head } from '../http1/head.ts';
import { type HeaderName, method, token } from '../http1/known-headers.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import type { ByteRange, RequestView } from './request-view.ts';

const grpcType = 'application/grpc';
const lastOfGrpc = grpcType.length - 1;
const letterC = 'c'.charCodeAt(0);

/** application/grpc and application/grpc+x. */
export function isGrpcContentType(value: string): boolean {
  return value.startsWith(grpcType) && (value.length === grpcType.length || value[grpcType.length] === '+');
}

export class Request implements RequestView {
  head: Head;
  connection: ConnectionInfo;
  scheme: 'http' | 'https' = 'http';
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' = 'HTTP/1.1';
  remoteIp = '';
  /** The caller may steer the router by x-envoy headers. */
  internal = false;
  #path: string | null = null;
  #pathOnly: string | null = null;
  #authority: string | null = null;

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

  /** Path or host have changed. */
  forget(): void {
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
        return this.scheme;
      default:
        return null;
    }
  }

  get isGrpc(): boolean {
    const index = this.head.find(token['content-type']);
    if (index < 0) return false;
    // Most bodies are of another type: told by a byte, without a string.
    const { bytes } = this.head;
    const start = this.head.valueStart(index);
    return bytes[start + lastOfGrpc] === letterC && isGrpcContentType(this.head.value(index));
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
