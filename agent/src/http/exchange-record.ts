/**
 * What is told of one exchange when it has ended: the record that logs, header formats and local replies read. The
 * exchange itself is this record, so that nothing is copied.
 */
import { Head } from '../http1/head.ts';
import type { HeaderName } from '../http1/known-headers.ts';
import { nobody } from '../net/nobody.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import type { LoopClock } from '../worker/runtime.ts';
import { noGrpcStatus } from './grpc-status.ts';
import { locateValue, Request } from './request.ts';
import type { ByteRange, LogRecord, RequestView } from './request-view.ts';
import type { UpstreamFacts } from './upstream-facts.ts';

export abstract class ExchangeRecord implements LogRecord {
  requestHead = new Head();
  responseHead = new Head();
  readonly view: Request;
  startTimeMs = 0;
  durationMs = 0;
  requestDurationMs = -1;
  responseDurationMs = -1;
  responseTxDurationMs = -1;
  status = 0;
  /** -1 without: not a gRPC call, or no answer that says. */
  grpcStatus = noGrpcStatus;
  flags = '';
  details = '';
  bytesReceived = 0;
  bytesSent = 0;
  localReplyBody = '';
  routeName = '';
  virtualHost = '';
  virtualCluster = '';
  /** The path before a rewrite, or ''. */
  rewrittenFrom = '';
  connection: ConnectionInfo = nobody;
  protected isParsed = false;
  readonly #clock: LoopClock;
  #startMs = 0;

  constructor(clock: LoopClock) {
    this.#clock = clock;
    this.view = new Request(this.requestHead, nobody);
  }

  /** Takes a head that was decoded elsewhere in place of its own. */
  setRequestHead(head: Head): void {
    this.requestHead = head;
    this.view.head = head;
  }

  protected abstract readonly upstream: UpstreamFacts;

  protected beginRecord(connection: ConnectionInfo): void {
    this.connection = connection;
    this.isParsed = false;
    this.#startMs = this.#clock.nowMs;
    this.startTimeMs = this.#clock.wallMs;
    this.durationMs = 0;
    this.requestDurationMs = -1;
    this.responseDurationMs = -1;
    this.responseTxDurationMs = -1;
    this.status = 0;
    this.grpcStatus = noGrpcStatus;
    this.flags = '';
    this.details = '';
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.localReplyBody = '';
    this.routeName = '';
    this.virtualHost = '';
    this.virtualCluster = '';
    this.rewrittenFrom = '';
  }

  /** The head was parsed and taken; what the request is can be asked from now on. */
  parsed(): void {
    this.isParsed = true;
    this.view.begin(this.connection);
  }

  get request(): RequestView | null {
    return this.isParsed ? this.view : null;
  }

  /** Whole milliseconds since the first byte, as logs and histograms have them. */
  get elapsedMs(): number {
    return Math.floor(this.#clock.nowMs - this.#startMs);
  }

  responseHeader(name: string): string | null {
    return this.responseHead.get(name);
  }

  locateResponse(name: HeaderName, into: ByteRange): boolean {
    return locateValue(this.responseHead, this.responseHead.findHeader(name), into);
  }

  get upstreamCluster(): string {
    return this.upstream.clusterName;
  }
  get upstreamHost(): string {
    return this.upstream.hostLabel;
  }
  get upstreamLocalAddress(): string {
    return this.upstream.localAddress;
  }
  get upstreamPeerPrincipal(): string {
    return this.upstream.peerPrincipal;
  }
  get upstreamTlsVersion(): string {
    return this.upstream.tlsVersion;
  }
  get upstreamFailure(): string {
    return this.upstream.failure;
  }
  abstract readonly attempts: number;

  flag(name: string): void {
    this.flags = this.flags === '' ? name : `${this.flags},${name}`;
  }
}
