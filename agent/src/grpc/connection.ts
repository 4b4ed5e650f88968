/**
 * A connection to a gRPC server on the agent's own HTTP/2 engine, and the calls on it. It opens at once; calls made
 * before it is open wait for it. Invariant: every call hears of its end once, and of nothing after that.
 */
import type { Socket } from 'node:net';
import { RpcFailure, rpcStatus } from '@chainmail/xds/rpc-status';
import { Http2Connection, type Http2ConnectionEvents } from '../http2/connection.ts';
import { privateCounters } from '../http2/counters.ts';
import { defaultHttp2Options } from '../http2/options.ts';
import { type CallRequest, type GrpcCall, type GrpcCallEvents, OpenCall } from './call.ts';
import { connect, type GrpcEndpoint } from './connect.ts';
import { mainHost } from './host.ts';
import { NodeStream } from './node-stream.ts';

export interface GrpcConnectionOptions {
  /** Larger messages of the server end their call. */
  readonly maxMessageBytes: number;
  /** PINGs while the connection is open, or null. */
  readonly keepalive: { readonly intervalMs: number; readonly timeoutMs: number } | null;
  readonly connectTimeoutMs?: number;
}

const defaultConnectTimeoutMs = 20_000;
/** A call's memory while nobody takes its messages, and the connection's. */
const windowBytes = 262_144;

export class GrpcConnection {
  readonly #endpoint: GrpcEndpoint;
  readonly #options: GrpcConnectionOptions;
  readonly #calls = new Set<OpenCall>();
  readonly #giveUp: () => void;
  #http2: Http2Connection | null = null;
  #failure: RpcFailure | null = null;

  constructor(endpoint: GrpcEndpoint, options: GrpcConnectionOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#giveUp = connect(endpoint, options.connectTimeoutMs ?? defaultConnectTimeoutMs, (result) => {
      if (result instanceof RpcFailure) this.#fail(result);
      else this.#open(result);
    });
  }

  /** Begins a call. What is sent on it before the connection is open goes out then. */
  call(request: CallRequest, events: GrpcCallEvents): GrpcCall {
    const { maxMessageBytes } = this.#options;
    const call = new OpenCall(request, events, maxMessageBytes, () => this.#calls.delete(call));
    this.#calls.add(call);
    const failure = this.#failure;
    if (failure !== null) process.nextTick(() => call.fail(failure));
    else if (this.#http2 !== null) this.#begin(call, this.#http2);
    return call;
  }

  /** Ends the connection; its calls hear nothing more. */
  close(): void {
    for (const call of this.#calls) call.forget();
    this.#calls.clear();
    this.#failure ??= new RpcFailure(rpcStatus.CANCELLED, 'the connection is closed');
    this.#giveUp();
    this.#http2?.close(0, '');
  }

  #open(socket: Socket): void {
    const host = mainHost();
    const keepalive = this.#options.keepalive;
    const options = {
      ...defaultHttp2Options,
      initialStreamWindowSize: windowBytes,
      initialConnectionWindowSize: windowBytes,
      connectionKeepalive:
        keepalive === null ? null : { ...keepalive, intervalJitterPercent: 15, connectionIdleIntervalMs: 0 },
      // A server's mistake in one answer is that call's, and says so.
      overrideStreamErrorOnInvalidHttpMessage: true,
      scheme: this.#endpoint.tls === null ? ('http' as const) : ('https' as const),
    };
    const stream = new NodeStream(socket, host.readBuffer);
    this.#http2 = new Http2Connection(host, stream, 'client', options, privateCounters(), this.#events());
    this.#http2.start();
    this.#beginWaiting();
  }

  #events(): Http2ConnectionEvents {
    return {
      onConnected: () => undefined,
      onStream: () => undefined,
      onCapacity: () => this.#beginWaiting(),
      onGoaway: (_, _lastId, code) => this.#refuseNew(`GOAWAY with code ${code}`),
      onClosed: (connection, _reason, _code, detail) => {
        this.#fail(
          new RpcFailure(rpcStatus.UNAVAILABLE, detail || connection.socket.failure || 'the connection was closed'),
        );
      },
    };
  }

  #beginWaiting(): void {
    for (const call of this.#calls) if (this.#http2 !== null) this.#begin(call, this.#http2);
  }

  #begin(call: OpenCall, http2: Http2Connection): void {
    if (!call.isWaiting) return;
    if (http2.exhausted)
      call.fail(this.#failure ?? new RpcFailure(rpcStatus.UNAVAILABLE, 'the server takes no more calls'));
    else call.begin(http2, this.#endpoint.serverName);
  }

  #refuseNew(details: string): void {
    this.#failure ??= new RpcFailure(rpcStatus.UNAVAILABLE, details);
    for (const call of this.#calls) if (call.isWaiting) call.fail(this.#failure);
  }

  #fail(failure: RpcFailure): void {
    this.#failure ??= failure;
    for (const call of this.#calls) call.fail(failure);
  }
}
