/**
 * The client's side of one exchange, whatever protocol its connection speaks: how the exchange answers, slows the client
 * down, and lets go. Body bytes lie in the worker's read buffer; whoever is told of them has used them when it returns.
 */
import type { Head } from '../http1/head.ts';
import type { Edge } from '../net/edge.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import type { Framing } from './body-framing.ts';

export type ExchangeEnd =
  /** The answer is out. */
  | 'answered'
  /** The answer has begun and will not be completed: the client has to notice. */
  | 'aborted'
  /** The request is none: its stream ends without an answer. */
  | 'refused'
  /** There is nobody left to answer. */
  | 'gone';

export interface Downstream {
  readonly protocol: 'http1' | 'http2';
  /**
   * The answer's body is best given in pieces as large as it comes in. A protocol that frames it anew takes frames as
   * they are instead: joining them would move their bytes for nothing.
   */
  readonly joinsAnswer: boolean;
  readonly info: ConnectionInfo;
  readonly edge: Edge | null;
  /** The request has been received to its end. */
  readonly requestComplete: boolean;
  /** Bytes of the answer that the client has not taken yet. When they are gone, the router hears onDownstreamDrained. */
  readonly queued: number;
  /**
   * Whether more of the answer would only be queued for now: it is better not read before the router hears
   * onDownstreamDrained, which comes then.
   */
  waitForRoom(): boolean;
  /** What comes of the request's body is handed on in pieces as large as it is read, or frame by frame. */
  joinRequest(joins: boolean): void;
  /** No more of the request until resumeRequest; what is on its way may still come. */
  pauseRequest(): void;
  resumeRequest(): void;
  /**
   * Asked once, before the final head is made: whether it shall say that the connection ends with this answer. asked:
   * the exchange wants it to end.
   */
  settleClose(asked: boolean): boolean;
  /** A 1xx other than 101. */
  sendInformational(head: Head): void;
  /** A whole answer of our own, with the head's framing in place. */
  sendReply(head: Head, body: Uint8Array): void;
  /**
   * The final head but for its framing, with the body bytes [start, end) that came along. framing is the upstream's;
   * trailers come behind the last byte.
   */
  sendHead(head: Head, framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): void;
  sendData(start: number, end: number, last: boolean, trailers: Head | null): void;
  /**
   * A 101: from now on the request's body is whatever the client sends, the answer's body whatever sendData gives, and
   * each ends for itself.
   */
  sendUpgrade(head: Head): void;
  /** The exchange is over and may be used for another request as soon as this returns. */
  exchangeDone(end: ExchangeEnd): void;
}
