/**
 * What matchers, policies and log formatters may ask about a request. Strings are made on first use and kept, so
 * that a rule that looks at bytes or tokens costs no string.
 */
import type { HeaderName } from '../http1/known-headers.ts';
import type { ConnectionInfo } from '../net/stream.ts';

/** Where a value lies, as latin1 bytes: good until the request or answer changes. */
export class ByteRange {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  startsWith(wanted: Uint8Array): boolean {
    const { bytes, start } = this;
    if (this.end - start < wanted.length) return false;
    for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false;
    return true;
  }

  text(): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.end).toString('latin1', this.start);
  }
}

export interface RequestView {
  readonly connection: ConnectionInfo;
  /** As received: `GET`. */
  readonly method: string;
  /** Path with query, after normalisation: the same string that is matched and forwarded. */
  readonly path: string;
  /** Path without query. */
  readonly pathOnly: string;
  /** Host or :authority as received (after port stripping, when configured). */
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  /** The trusted client's address: the peer's, or from x-forwarded-for as configured. */
  readonly remoteIp: string;
  /** First value by lower-case name, or null. Knows `:method`, `:path`, `:authority`, `:scheme`. */
  header(name: string): string | null;
  /** Where the first value of a header lies; false when it is not there. Knows `:path` and `:authority`. */
  locate(name: HeaderName, into: ByteRange): boolean;
  /** Where the path without its query lies; false for a CONNECT, which has none. */
  locatePath(into: ByteRange): boolean;
  /** All values by lower-case name, in order. */
  headers(name: string): readonly string[];
  /** True if the request is gRPC (content-type application/grpc or application/grpc+x). */
  readonly isGrpc: boolean;
}

/** What is known when a request has ended (or a TCP connection, with request null): the source of a log line. */
export interface LogRecord {
  readonly request: RequestView | null;
  readonly connection: ConnectionInfo;
  /** Wall-clock milliseconds of the first byte. */
  readonly startTimeMs: number;
  readonly durationMs: number;
  /** Milliseconds from start, or -1: request fully received, first upstream byte, response fully sent upstream. */
  readonly requestDurationMs: number;
  readonly responseDurationMs: number;
  readonly responseTxDurationMs: number;
  /** 0 when no response was sent. */
  readonly status: number;
  /** grpc-status of the answer to a gRPC call, or -1; absent where there can be none. */
  readonly grpcStatus?: number;
  /** Envoy's short flags joined by `,`, or ''. */
  readonly flags: string;
  /** Envoy's details, e.g. `via_upstream`, `rbac_access_denied_matched_policy[x]`, or ''. */
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly routeName: string;
  readonly virtualHost: string;
  readonly virtualCluster: string;
  readonly upstreamCluster: string;
  /** ip:port of the last host tried, or ''. */
  readonly upstreamHost: string;
  readonly upstreamLocalAddress: string;
  readonly upstreamPeerPrincipal: string;
  readonly upstreamTlsVersion: string;
  readonly upstreamFailure: string;
  readonly attempts: number;
  /** The path before a rewrite, or ''. */
  readonly rewrittenFrom: string;
  /** Body of an answer in our own name, before a format is applied. */
  readonly localReplyBody?: string;
  responseHeader(name: string): string | null;
  /** First value of a trailer of the answer. */
  responseTrailer?(name: string): string | null;
  /** Where the first value of a header of the answer lies; false when it is not there. */
  locateResponse(name: HeaderName, into: ByteRange): boolean;
}
