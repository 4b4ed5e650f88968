/**
 * One look at one host over HTTP/2: a request for a status, or grpc.health.v1.Health/Check, on a connection of its own.
 * The connection ends with the verdict; nothing is called back after it. Time limits are the caller's.
 */
import { decodeHealthStatus, encodeHealthRequest, serving } from '../health/health-messages.ts';
import { Head } from '../http1/head.ts';
import { type Method, method } from '../http1/known-headers.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../http2/connection.ts';
import { privateCounters } from '../http2/counters.ts';
import { errorCode } from '../http2/frame.ts';
import type { Http2Host } from '../http2/host.ts';
import { defaultHttp2Options } from '../http2/options.ts';
import type { Http2Stream, Http2StreamEvents } from '../http2/stream.ts';
import type { GrpcProbeSpec, HttpProbeSpec } from '../model/health-check.ts';
import type { CloseReason, Stream, StreamHandler } from '../net/stream.ts';
import { type Probe, type ProbeTarget, type TellVerdict, verdictOf } from './health-probe.ts';

const options = {
  ...defaultHttp2Options,
  initialStreamWindowSize: 65_535,
  initialConnectionWindowSize: 65_535,
  // A mistake in an answer is an answer that says no, and not a network that is down.
  overrideStreamErrorOnInvalidHttpMessage: true,
};

const healthPath = '/grpc.health.v1.Health/Check';
const grpcType = /^application\/grpc(?:\+|;|$)/;
const prefixBytes = 5;
/** Of the answer to a Check: its message has two bytes. */
const maxAnswerBytes = 1024;
const ok = '0';

export class Http2Probe implements Probe, StreamHandler, Http2ConnectionEvents, Http2StreamEvents {
  readonly #spec: HttpProbeSpec | GrpcProbeSpec;
  readonly #target: ProbeTarget;
  readonly #host: Http2Host;
  readonly #tell: TellVerdict;
  #stream: Stream | null = null;
  #connection: Http2Connection | null = null;
  #answer: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(spec: HttpProbeSpec | GrpcProbeSpec, target: ProbeTarget, host: Http2Host, tell: TellVerdict) {
    this.#spec = spec;
    this.#target = target;
    this.#host = host;
    this.#tell = tell;
  }

  start(dial: (handler: StreamHandler) => Stream): void {
    this.#stream = dial(this);
  }

  cancel(): void {
    this.#ended = true;
    this.#close();
  }

  // ---- the connection

  onConnected(at: Stream | Http2Connection): void {
    if (at instanceof Http2Connection || this.#ended) return;
    const scheme = this.#target.secure ? ('https' as const) : ('http' as const);
    const connection = new Http2Connection(this.#host, at, 'client', { ...options, scheme }, privateCounters(), this);
    this.#connection = connection;
    connection.start();
    const { path, headers } = requestOf(this.#spec);
    const head = new Head();
    head.reset();
    head.version = 20;
    head.method = method[(this.#spec.kind === 'grpc' ? 'POST' : this.#spec.method) as Method];
    head.setTarget(path);
    head.add('host', this.#target.host);
    for (const [name, value] of headers) head.add(name, value);
    if (this.#spec.kind === 'grpc') head.add('grpc-timeout', `${this.#target.timeoutMs}m`);
    const body = this.#spec.kind === 'grpc' ? framed(encodeHealthRequest(this.#spec.service)) : null;
    const stream = connection.open(head, body === null, this);
    if (body !== null) stream?.sendData(body, 0, body.length, true);
  }

  onClosed(_at: Stream | Http2Connection, _reason: CloseReason): void {
    this.#stream = null;
    this.#end('network', 0);
  }

  onReadable(): void {}

  onStream(): void {}

  onCapacity(): void {}

  onGoaway(): void {}

  onDrained(): void {}

  // ---- the answer

  onHead(_stream: Http2Stream, head: Head, last: boolean): void {
    const { status } = head;
    if (status < 200) return;
    const spec = this.#spec;
    if (spec.kind === 'http') this.#end(verdictOf(spec, status), status);
    // An answer without a body fails whatever its status says: it does not serve.
    else if (last || status !== 200 || !grpcType.test(head.get('content-type') ?? '')) this.#end('refused', 0);
  }

  onData(_stream: Http2Stream, start: number, end: number, last: boolean): void {
    const bytes = this.#host.readBuffer.subarray(start, end);
    if (this.#answer.length + bytes.length > maxAnswerBytes) this.#end('refused', 0);
    else this.#answer = Buffer.concat([this.#answer, bytes]);
    if (last) this.#end('refused', 0);
  }

  onTrailers(_stream: Http2Stream, head: Head): void {
    this.#end(head.get('grpc-status') === ok && isServing(this.#answer) ? 'passed' : 'refused', 0);
  }

  onReset(): void {
    this.#end('network', 0);
  }

  #end(...verdict: Parameters<TellVerdict>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#close();
    this.#tell(...verdict);
  }

  #close(): void {
    if (this.#connection !== null) this.#connection.close(errorCode.noError, '');
    else this.#stream?.close();
  }
}

type RequestParts = { readonly path: string; readonly headers: HttpProbeSpec['headers'] };

function requestOf(spec: HttpProbeSpec | GrpcProbeSpec): RequestParts {
  const agent = ['user-agent', 'Envoy/HC'] as const;
  if (spec.kind === 'http') return { path: spec.path, headers: [agent, ...spec.headers] };
  const fixed = [['te', 'trailers'], ['content-type', 'application/grpc'], agent] as const;
  return { path: healthPath, headers: [...fixed, ...spec.headers] };
}

/** gRPC's length-prefixed message, uncompressed. */
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Exactly one message, that says SERVING. */
function isServing(answer: Buffer): boolean {
  if (answer.length < prefixBytes || answer[0] !== 0) return false;
  const message = answer.subarray(prefixBytes);
  return answer.readUInt32BE(1) === message.length && decodeHealthStatus(message) === serving;
}
