/**
 * The upstream's side of one exchange: what a connection does for the request it works for, whatever protocol it speaks,
 * and what the request is told. Invariant: after release, cancel or onReset neither hears of the other again.
 */
import type { HostPool } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import type { Edge } from '../net/edge.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import type { Framing } from './body-framing.ts';
import type { Downstream } from './downstream.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

export interface UpstreamRequest {
  readonly info: ConnectionInfo;
  readonly edge: Edge | null;
  /** The connection has served a request before this one. */
  readonly reused: boolean;
  /** A byte of the answer has come. */
  readonly answered: boolean;
  /** The request's body is best given in pieces as large as it comes in; see Downstream.joinsAnswer. */
  readonly joinsRequest: boolean;
  /** Bytes of the request that the upstream has not taken yet. When they are gone, the user hears onUpstreamDrained. */
  readonly queued: number;
  /**
   * Whether more of the request would only be queued for now: it is better not read before the user hears
   * onUpstreamDrained, which comes then.
   */
  waitForRoom(): boolean;
  /** Trailer fields of an answer that is complete, or null. */
  readonly trailers: Head | null;
  /** Head and the body bytes [start, end) of a buffer, which may be the worker's read buffer. framing is the client's. */
  sendHead(
    head: Head,
    framing: Framing,
    from: Buffer,
    start: number,
    end: number,
    last: boolean,
    trailers: Head | null,
  ): void;
  /** More body bytes. */
  sendData(from: Buffer, start: number, end: number, last: boolean, trailers: Head | null): void;
  /** No more of the answer until resumeAnswer; what is on its way may still come. */
  pauseAnswer(): void;
  resumeAnswer(): void;
  /** The answer is complete and has been handed on; so is the request, where they were a tunnel. */
  release(): void;
  /** The request was given up. */
  cancel(): void;
}

/** Whoever wants a request sent. Body bytes lie in the read buffer. */
export interface UpstreamUser {
  readonly sni: string;
  /** What the client speaks. */
  readonly downstreamProtocol: Downstream['protocol'];
  readonly requestHead: Head;
  /** Where the answer's head goes: filled, or exchanged for one that is. */
  responseHead: Head;
  readonly requestMethod: number;
  readonly wantsUpgrade: boolean;
  /** The client is best given the answer's body in pieces as large as it comes in. */
  readonly joinsAnswer: boolean;
  onConnection(request: UpstreamRequest): void;
  onConnectFailed(failure: UpstreamFailure, detail: string): void;
  /** A 1xx other than 101 lies in responseHead. */
  onInformational(): void;
  /** A 101 lies in responseHead: from now on request and answer are a tunnel's bytes, each with an end of its own. */
  onUpgraded(): void;
  /** The final head lies in responseHead; [start, end) is the body so far. */
  onResponseHead(framing: Framing, start: number, end: number, last: boolean): void;
  onResponseData(start: number, end: number, last: boolean): void;
  /** Nothing more comes. */
  onReset(failure: UpstreamFailure, detail: string): void;
  onUpstreamDrained(): void;
  /** Whether more of the answer is better not read before resumeAnswer. */
  waitsForDownstream(): boolean;
}

export type Acquired =
  /** The user has been given its connection. */
  'ready' | 'pending' | 'overflow';

/** The connections to one host. */
export interface RequestPool extends HostPool {
  /** Finds or dials a connection. fresh: none that was used before. */
  acquire(user: UpstreamUser, fresh: boolean): Acquired;
  /** The user no longer wants a connection. */
  cancel(user: UpstreamUser): void;
}
