/**
 * One call (gRPC over HTTP/2, github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): messages there and back on one
 * stream, a deadline, and a status from trailers or from an answer that is nothing but trailers. Whatever is not an
 * answer of gRPC becomes a status by the specification's tables.
 */
import { RpcFailure, rpcStatus } from '@chainmail/xds/rpc-status';
import { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import type { Http2Connection } from '../http2/connection.ts';
import { errorCode } from '../http2/frame.ts';
import type { Http2Stream, Http2StreamEvents, ResetCause } from '../http2/stream.ts';
import { frameMessage, MessageReader } from './messages.ts';
import { decodeGrpcMessage } from './percent.ts';
import { statusOfHttp, statusOfReset } from './status.ts';

export interface CallRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Names in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Ends the call with DEADLINE_EXCEEDED, here and at the server; from the call's begin. */
  readonly deadlineMs?: number;
}

export interface GrpcCallEvents {
  /** Bytes of its own. */
  onMessage(message: Buffer): void;
  /** Once; null is OK. Nothing comes after it. */
  onClosed(failure: RpcFailure | null): void;
  /** All that was sent has gone out, after send() gave false. */
  onDrained?(): void;
}

export interface GrpcCall {
  /** False when it waits for the server to take it: more should wait for onDrained. Nothing after the end. */
  send(message: Uint8Array): boolean;
  /** No more messages of ours. */
  end(): void;
  cancel(): void;
}

const fixedFields: readonly (readonly [string, string])[] = [
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
  ['user-agent', 'chainmail-agent'],
];
const grpcType = /^application\/grpc(?:[+;]|$)/;
/** Eight digits is the most that grpc-timeout has. */
const longestTimeout = 99_999_999;

export class OpenCall implements GrpcCall, Http2StreamEvents {
  readonly #request: CallRequest;
  readonly #events: GrpcCallEvents;
  readonly #reader: MessageReader;
  readonly #onOver: () => void;
  readonly #deadline: NodeJS.Timeout | null;
  #stream: Http2Stream | null = null;
  /** What was sent before the stream was there. */
  #early: Buffer[] = [];
  #ended = false;
  #over = false;
  #begun = false;
  /** Fails the call at the end of the stream, unless the trailers say something themselves. */
  #doubt: RpcFailure | null = null;

  constructor(request: CallRequest, events: GrpcCallEvents, maxMessageBytes: number, onOver: () => void) {
    this.#request = request;
    this.#events = events;
    this.#onOver = onOver;
    this.#reader = new MessageReader(maxMessageBytes, (message) => {
      if (!this.#over) events.onMessage(message);
    });
    const { deadlineMs } = request;
    this.#deadline =
      deadlineMs === undefined
        ? null
        : setTimeout(() => this.#abort(rpcStatus.DEADLINE_EXCEEDED, `no answer within ${deadlineMs} ms`), deadlineMs);
  }

  /** Neither begun nor over. */
  get isWaiting(): boolean {
    return !this.#begun && !this.#over;
  }

  /** Opens the stream; without capacity the call goes on waiting. */
  begin(connection: Http2Connection, authority: string): void {
    const stream = connection.open(this.#head(authority), false, this);
    if (stream === null) return;
    this.#begun = true;
    this.#stream = stream;
    const early = this.#early;
    this.#early = [];
    for (const framed of early) stream.sendData(framed, 0, framed.length, false);
    if (this.#ended) stream.sendData(Buffer.alloc(0), 0, 0, true);
  }

  #head(authority: string): Head {
    const { path, metadata = {}, deadlineMs } = this.#request;
    const head = new Head();
    head.reset();
    head.version = 20;
    head.method = method.POST;
    head.setTarget(path);
    head.add('host', authority);
    for (const [name, value] of fixedFields) head.add(name, value);
    if (deadlineMs !== undefined) head.add('grpc-timeout', `${Math.min(Math.ceil(deadlineMs), longestTimeout)}m`);
    for (const [name, value] of Object.entries(metadata)) head.add(name, value);
    return head;
  }

  send(message: Uint8Array): boolean {
    if (this.#over || this.#ended) return true;
    const framed = frameMessage(message);
    if (this.#stream === null) {
      this.#early.push(framed);
      return false;
    }
    this.#stream.sendData(framed, 0, framed.length, false);
    return this.#stream.queued === 0;
  }

  end(): void {
    if (this.#ended || this.#over) return;
    this.#ended = true;
    this.#stream?.sendData(Buffer.alloc(0), 0, 0, true);
  }

  cancel(): void {
    this.#abort(rpcStatus.CANCELLED, 'cancelled');
  }

  /** Ends without a word. */
  forget(): void {
    this.#finish();
  }

  fail(failure: RpcFailure | null): void {
    if (this.#over) return;
    this.#finish();
    this.#events.onClosed(failure);
  }

  #finish(): void {
    this.#over = true;
    this.#stream = null;
    this.#early = [];
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#onOver();
  }

  #abort(code: number, details: string): void {
    const stream = this.#stream;
    this.fail(new RpcFailure(code, details));
    stream?.reset(errorCode.cancel);
  }

  // ---- the stream

  onHead(_stream: Http2Stream, head: Head, last: boolean): void {
    if (this.#over || head.status < 200) return;
    if (last) {
      this.fail(outcome(head, 'an answer without grpc-status'));
      return;
    }
    const type = head.get('content-type') ?? '';
    if (head.status !== 200) this.#doubt = statusOfHttp(head.status);
    else if (!grpcType.test(type)) {
      this.#doubt = new RpcFailure(rpcStatus.UNKNOWN, `an answer of content-type '${type}'`);
    }
  }

  onData(stream: Http2Stream, start: number, end: number, last: boolean): void {
    if (this.#over) return;
    if (this.#doubt === null) {
      try {
        this.#reader.take(stream.connection?.host.readBuffer ?? Buffer.alloc(0), start, end);
      } catch (error) {
        if (!(error instanceof RpcFailure)) throw error;
        this.#abort(error.code, error.details);
        return;
      }
    }
    if (last) this.fail(this.#doubt ?? new RpcFailure(rpcStatus.UNKNOWN, 'the answer ended without a status'));
  }

  onTrailers(_stream: Http2Stream, head: Head): void {
    const incomplete = this.#reader.isBetweenMessages ? null : 'the answer ended inside a message';
    const failure = outcome(head, 'trailers without grpc-status');
    if (failure === null && this.#doubt !== null) this.fail(this.#doubt);
    else if (failure === null && incomplete !== null) this.fail(new RpcFailure(rpcStatus.INTERNAL, incomplete));
    else this.fail(failure);
  }

  onReset(_stream: Http2Stream, code: number, cause: ResetCause): void {
    // The connection tells its calls itself, and knows why.
    if (cause !== 'connection') this.fail(statusOfReset(code, cause));
  }

  onDrained(): void {
    this.#events.onDrained?.();
  }
}

/** What trailers, or an answer that is nothing else, say: null is OK. */
function outcome(head: Head, otherwise: string): RpcFailure | null {
  const text = head.get('grpc-status');
  if (text === null) {
    if (head.status !== 0 && head.status !== 200) return statusOfHttp(head.status);
    return new RpcFailure(rpcStatus.UNKNOWN, otherwise);
  }
  if (!/^\d{1,9}$/.test(text)) return new RpcFailure(rpcStatus.UNKNOWN, `grpc-status '${text.slice(0, 32)}'`);
  const code = Number(text);
  return code === rpcStatus.OK ? null : new RpcFailure(code, decodeGrpcMessage(head.get('grpc-message') ?? ''));
}
