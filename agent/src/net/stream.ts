/**
 * What the protocols see of a connection, plain or TLS alike. Pull model: the loop says "readable", the handler reads
 * into the worker's one shared read buffer and has finished with it when it returns.
 * Invariant: after onClosed the stream is dead and no callback comes any more.
 */
import type { Delivery } from '../sys/tcp.ts';
import type { Edge } from './edge.ts';

export type { Delivery };

/** Results of Stream.read below 1. */
export const readEof = 0;
export const readAgain = -1;
export const readError = -2;

/**
 * The worker's read buffer: handlers may use the room before and after the data (a stashed tail, an inserted header).
 * The headroom holds the largest head that may be configured (8192 KiB); pages that are never touched cost nothing.
 */
export const readHeadroom = 8192 * 1024;
/** What a TLS record carries at most (RFC 8446 section 5.1). */
export const recordBytes = 16_384;
/**
 * Ten full TLS records: what a read brings of one body is written once, and bodies that share a connection come in
 * pieces of this size.
 */
export const readCapacity = 163_840;
/**
 * What is read at most of a plain socket: as much as ten DATA frames of HTTP/2 carry that are a TLS record each, header
 * and all, so that a body on its way to another agent leaves no rest for an eleventh.
 */
export const plainReadCapacity: number = 10 * (recordBytes - 9);
export const readTailroom = 16_384;

export type CloseReason =
  | 'remote-close' // FIN before or between messages
  | 'remote-reset' // RST
  | 'local'
  | 'connect-refused'
  | 'connect-timeout'
  | 'connect-failed' // no route, no descriptors, ...
  | 'tls-failed' // handshake or verification; tlsError says why
  | 'write-failed'
  | 'idle-timeout';

/** Who ended a connection. */
export type Side = 'local' | 'remote';

/** As Envoy counts it: a deadline of ours is our end. */
export function sideOf(reason: CloseReason): Side {
  return reason === 'local' || reason === 'connect-timeout' || reason === 'idle-timeout' ? 'local' : 'remote';
}

/** Who is at the other end and how we know. Filled once, when the connection is ready for its handler. */
export interface ConnectionInfo {
  /** The client's address: what a PROXY header says, otherwise the socket. */
  readonly remoteIp: string;
  readonly remotePort: number;
  /** The peer of the socket itself, where a PROXY header speaks for another; absent where it is the same. */
  readonly directRemoteIp?: string;
  readonly directRemotePort?: number;
  /** Where the peer wanted to go: the original destination if there is one. */
  readonly localIp: string;
  readonly localPort: number;
  /** URI SAN of the verified peer certificate, or '' (plaintext, or no certificate). */
  readonly peerPrincipal: string;
  readonly localPrincipal: string;
  /** '' for plaintext. */
  readonly tlsVersion: '' | 'TLSv1.2' | 'TLSv1.3';
  readonly tlsCipher: string;
  readonly sni: string;
  readonly alpn: string;
  /** PEM or DER facts that only some configurations need; computed on call. */
  peerCertificateSha256(): string;
  peerSubject(): string;
  peerCertificatePem(): string;
  /** What the peer presented, leaf first, as PEM. */
  peerChainPem(): string;
  /** The names in the peer's certificate, in its order. */
  peerUris(): readonly string[];
  peerDnsNames(): readonly string[];
}

export interface StreamHandler {
  /** There is something to read, or EOF, or an error: read until readAgain or until paused. */
  onReadable(stream: Stream): void;
  /** The output queue has emptied after a write that did not go out whole. */
  onDrained(stream: Stream): void;
  /** Only for streams we opened: TCP and TLS are up. Writes before it were queued. */
  onConnected(stream: Stream): void;
  /** The stream has died by itself (not by close() or reset() of ours). */
  onClosed(stream: Stream, reason: CloseReason): void;
}

export interface Stream {
  handler: StreamHandler;
  readonly info: ConnectionInfo;
  /** Human-readable detail of a failure, e.g. OpenSSL's reason, for logs. */
  readonly failure: string;
  readonly dead: boolean;
  /** Bytes queued and not yet written. */
  readonly queued: number;
  readonly readPaused: boolean;
  readonly edge: Edge | null;
  bytesReceived: number;
  readonly bytesSent: number;
  /** Monotonic milliseconds of the last byte in or out, from the loop's cached clock. */
  lastActiveMs: number;

  /**
   * Reads at most `capacity` bytes to `offset` of the worker's read buffer (offset counts from its very start;
   * data normally goes to readHeadroom). Bytes a listener filter has peeked come first.
   */
  read(offset: number, capacity: number): number;
  /** Whether to read again now: a short plain read means drained; TLS says what it still holds. False when the work budget of this turn is spent (the loop comes back by itself). */
  more(lastRead: number, capacity: number): boolean;
  /** Writes what the socket takes and queues a copy of the rest. False when the stream has failed (onClosed follows, never re-entrantly). */
  write(buffer: Uint8Array, start: number, end: number): boolean;
  /** More writes follow in this turn: until uncork(), which comes in it, what is written may wait, and is not `queued`. */
  cork(): void;
  uncork(): void;
  /** No more callbacks for reading until resumeRead; stops reading from the socket, so the peer feels it. */
  pauseRead(): void;
  /** Reading goes on in this turn or the next, also if the data already lies in TLS. */
  resumeRead(): void;
  /**
   * What is written from here on is the last, and endWrite, closeAfterFlush, or close follows in the same turn: the end
   * may leave with it, in one packet.
   */
  expectEnd(): void;
  /**
   * Asked at the end of reading or of the stream: how much the peer's program can have seen of the last `sent` bytes that
   * count in bytesSent: 'none', because it had closed the connection before; or 'unknown'. When it is 'undecided' and that
   * changes, onReadable or onClosed comes within a round trip.
   */
  delivered(sent: number): Delivery;
  /** FIN (after close_notify for TLS) once the queue is empty. Reading goes on. */
  endWrite(): void;
  /** Writes the queue out, then closes; the handler hears nothing more. Cut after the delayed-close deadline. */
  closeAfterFlush(deadlineMs: number): void;
  /** Closes now. The handler hears nothing. */
  close(): void;
  /** Closes with RST. The handler hears nothing. */
  reset(): void;
}
