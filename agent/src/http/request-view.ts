/**
 * What matchers, policies and log formatters may ask about a request. Strings are made on first use and kept, so
 * that a rule that looks at bytes or tokens costs no string.
 */
import type { ConnectionInfo } from '../net/stream.ts';

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
  /** Envoy's short flags joined by `,`, or ''. */
  readonly flags: string;
  /** Envoy's details, e.g. `via_upstream`, `rbac_access_denied_matched_policy[x]`, or ''. */
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly routeName: string;
  readonly virtualHost: string;
  readonly upstreamCluster: string;
  /** ip:port of the last host tried, or ''. */
  readonly upstreamHost: string;
  readonly upstreamLocalAddress: string;
  readonly upstreamPeerPrincipal: string;
  readonly upstreamTlsVersion: string;
  readonly upstreamFailure: string;
  readonly attempts: number;
  /** Original path when it was rewritten, else path. */
  readonly originalPath: string;
  /** Body of an answer in our own name, before a format is applied. */
  readonly localReplyBody?: string;
  responseHeader(name: string): string | null;
}
