/**
 * One request and its answer, from the first byte to the log line. Between the client's connection, which feeds it,
 * and the router, which works for it; whatever is sent to the client goes through here. Pooled: `begin` makes it new.
 * Invariants: after `#end` nothing is sent and no timer fires; the record that is logged is the exchange itself.
 */

import { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { rejectionOf } from '../http1/rejection.ts';
import type { ConnectionInfo, Stream } from '../net/stream.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Framing } from './body-framing.ts';
import { Deadlines } from './deadlines.ts';
import { applyEdits, type HeaderEdits } from './header-mutations.ts';
import { buildLocalReply, type LocalReply } from './local-reply.ts';
import type { Manager } from './manager.ts';
import { Request } from './request.ts';
import type { LogRecord, RequestView } from './request-view.ts';
import { addChunked, addConnectionClose, addKeepAlive } from './response-headers.ts';
import { ResponseWriter } from './response-writer.ts';
import { Router } from './router.ts';
import { statusText } from './status-text.ts';
import { workerShared } from './worker-shared.ts';

/** What an exchange needs of the client's connection. */
export interface Downstream {
  readonly stream: Stream;
  /** The request has been received to its end. */
  readonly requestComplete: boolean;
  readonly wantsClose: boolean;
  /** The answer is out, or the exchange was given up. close: nothing more may be read from this connection. */
  exchangeDone(close: boolean): void;
  /** From now on the bytes of the two connections go to each other. */
  startTunnel(upstream: Stream): void;
}

const nothing = new Uint8Array(0);

const nobody: ConnectionInfo = {
  remoteIp: '',
  remotePort: 0,
  localIp: '',
  localPort: 0,
  peerPrincipal: '',
  localPrincipal: '',
  tlsVersion: '',
  tlsCipher: '',
  sni: '',
  alpn: '',
  peerCertificateSha256: () => '',
  peerSubject: () => '',
  peerCertificatePem: () => '',
  peerChainPem: () => '',
  peerUris: () => [],
  peerDnsNames: () => [],
};

export class Exchange implements LogRecord {
  readonly requestHead = new Head();
  readonly responseHead = new Head();
  readonly view: Request;
  readonly router: Router;
  readonly deadlines: Deadlines;
  readonly #runtime: WorkerRuntime;
  readonly #writer: ResponseWriter;
  #manager: Manager | null = null;
  #downstream: Downstream | null = null;
  #parsed = false;
  #startMs = 0;
  #closeAfter = false;
  /** Trailer fields of the request, once it is complete. */
  requestTrailers: Head | null = null;
  /** The head of the final answer has gone out. */
  responseStarted = false;
  #upgraded = false;
  ended = true;

  startTimeMs = 0;
  durationMs = 0;
  requestDurationMs = -1;
  responseDurationMs = -1;
  responseTxDurationMs = -1;
  status = 0;
  flags = '';
  details = '';
  bytesReceived = 0;
  bytesSent = 0;
  localReplyBody = '';
  routeName = '';
  virtualHost = '';
  hostRewritten = false;
  /** Cookies that the answer hands out. */
  readonly setCookies: string[] = [];
  /** The path before a rewrite, or ''. */
  rewrittenFrom = '';

  constructor(runtime: WorkerRuntime) {
    this.#runtime = runtime;
    this.#writer = new ResponseWriter(runtime.readBuffer, workerShared(runtime));
    this.view = new Request(this.requestHead, nobody);
    this.deadlines = new Deadlines(runtime.clock, runtime.timers, this);
    this.router = new Router(this, runtime);
  }

  begin(manager: Manager, downstream: Downstream): void {
    const { clock } = this.#runtime;
    this.#manager = manager;
    this.#downstream = downstream;
    this.#parsed = false;
    this.#startMs = clock.nowMs;
    this.#writer.framing = 'none';
    this.hostRewritten = false;
    this.#closeAfter = false;
    this.responseStarted = false;
    this.#upgraded = false;
    this.ended = false;
    this.startTimeMs = clock.wallMs;
    this.durationMs = 0;
    this.requestDurationMs = -1;
    this.responseDurationMs = -1;
    this.responseTxDurationMs = -1;
    this.status = 0;
    this.flags = '';
    this.details = '';
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.localReplyBody = '';
    this.routeName = '';
    this.virtualHost = '';
    this.rewrittenFrom = '';
    this.requestTrailers = null;
    if (this.setCookies.length > 0) this.setCookies.length = 0;
    this.responseHead.reset();
    this.router.reset();
    const { at } = manager;
    manager.count(at.downstream_rq_total);
    manager.count(at.downstream_rq_http1_total);
    manager.count(at.downstream_rq_active);
  }

  /** The head was parsed and taken; what the request is can be asked from now on. */
  parsed(): void {
    this.#parsed = true;
    this.view.begin(this.downstream.stream.info);
  }

  get manager(): Manager {
    if (this.#manager === null) throw new Error('exchange: used before begin');
    return this.#manager;
  }

  get downstream(): Downstream {
    if (this.#downstream === null) throw new Error('exchange: used before begin');
    return this.#downstream;
  }

  get request(): RequestView | null {
    return this.#parsed ? this.view : null;
  }

  get connection(): ConnectionInfo {
    return this.downstream.stream.info;
  }

  /** Whole milliseconds since the first byte, as logs and histograms have them. */
  get elapsedMs(): number {
    return Math.floor(this.#runtime.clock.nowMs - this.#startMs);
  }

  responseHeader(name: string): string | null {
    return this.responseHead.get(name);
  }

  get originalPath(): string {
    return this.rewrittenFrom === '' ? this.view.path : this.rewrittenFrom;
  }
  get upstreamCluster(): string {
    return this.router.clusterName;
  }
  get upstreamHost(): string {
    return this.router.hostLabel;
  }
  get upstreamLocalAddress(): string {
    return this.router.localAddress;
  }
  get upstreamPeerPrincipal(): string {
    return this.router.peerPrincipal;
  }
  get upstreamTlsVersion(): string {
    return this.router.tlsVersion;
  }
  get upstreamFailure(): string {
    return this.router.transportFailure;
  }
  get attempts(): number {
    return this.router.attempts;
  }

  flag(name: string): void {
    this.flags = this.flags === '' ? name : `${this.flags},${name}`;
  }

  /** The last byte of the request has come. */
  requestDone(): void {
    this.requestDurationMs = this.elapsedMs;
    this.deadlines.requestDone();
  }

  /**
   * Answers in the agent's own name; flag is one of Envoy's or ''. Only before the response has started. edit changes
   * responseHead before the last headers go on.
   */
  reply(reply: LocalReply, flag: string, details: string, edit: (() => void) | null = null): void {
    if (flag !== '') this.flag(flag);
    this.details = details;
    this.router.abandon();
    this.#settleClose();
    const { manager, responseHead, requestHead } = this;
    const rewritten = manager.localReplies?.rewrite(this, reply) ?? null;
    const edits = rewritten?.edits ?? null;
    const body = buildLocalReply(responseHead, rewritten?.reply ?? reply, {
      method: requestHead.method,
      isGrpc: this.#parsed && this.view.isGrpc,
      date: manager.shared.date(),
      server: manager.spec.serverHeader === 'pass_through' ? null : manager.server,
      close: this.#closeAfter,
      edit: edits === null ? edit : () => this.#editReply(edit, edits, reply.status),
    });
    this.status = responseHead.status;
    this.responseStarted = true;
    const bytes = Buffer.from(body);
    this.bytesSent += bytes.length;
    this.#writer.whole(this.downstream.stream, responseHead, bytes);
    this.#end(this.#closeAfter);
  }

  /** Headers of a mapper still see the status before it, as in Envoy. */
  #editReply(edit: (() => void) | null, edits: readonly HeaderEdits[], status: number): void {
    edit?.();
    this.status = status;
    applyEdits(edits, this.responseHead, this);
  }

  /** Answers a message that the codec refused. */
  reject(code: number): void {
    const rejection = rejectionOf(code);
    const { manager } = this;
    if (rejection.protocolError) manager.count(manager.at.downstream_cx_protocol_error);
    if (rejection.details === 'path_normalization_failed') {
      manager.count(manager.at.downstream_rq_failed_path_normalization);
    }
    this.#closeAfter = true;
    const body = rejection.phraseBody ? statusText(rejection.status) : '';
    this.reply({ status: rejection.status, body }, rejection.protocolError ? 'DPE' : '', rejection.details);
  }

  /** Asks for the connection to end with this answer. */
  closeAfter(): void {
    this.#closeAfter = true;
  }

  #settleClose(): void {
    const { manager, downstream } = this;
    if (this.#closeAfter || downstream.wantsClose || !downstream.requestComplete) this.#closeAfter = true;
    else if (manager.draining) {
      manager.count(manager.at.downstream_cx_drain_close);
      this.#closeAfter = true;
    }
  }

  /** Passes an informational answer (1xx but 101) on, as it is in responseHead. */
  sendInformational(): void {
    if (this.view.protocol === 'HTTP/1.0') return;
    this.#writer.whole(this.downstream.stream, this.responseHead, nothing);
  }

  /**
   * Sends the final head in responseHead, settled but for framing, with the body bytes [start, end) of the read buffer
   * that came along. framing is the upstream's.
   */
  sendHead(framing: Framing, start: number, end: number, last: boolean): void {
    this.status = this.responseHead.status;
    this.responseStarted = true;
    this.responseDurationMs = this.elapsedMs;
    this.bytesSent += end - start;
    this.#settleClose();
    this.#settleFraming(framing);
    const { stream } = this.downstream;
    this.#writer.head(stream, this.responseHead, start, end, last, this.router.responseTrailers);
    if (last) this.responseTxDurationMs = this.elapsedMs;
  }

  #settleFraming(framing: Framing): void {
    const head = this.responseHead;
    const http10 = this.view.protocol === 'HTTP/1.0';
    const out = framing === 'chunked' || framing === 'close' ? (http10 ? 'close' : 'chunked') : framing;
    this.#writer.framing = out;
    if (out === 'close') this.#closeAfter = true;
    if (this.#closeAfter) addConnectionClose(head);
    else if (http10) addKeepAlive(head);
    const headWithoutLength = framing === 'none' && this.requestHead.method === method.HEAD && head.contentLength < 0;
    if (out === 'chunked' || (headWithoutLength && !http10)) addChunked(head);
  }

  /** Sends body bytes of the read buffer. */
  sendData(start: number, end: number, last: boolean): void {
    this.bytesSent += end - start;
    this.#writer.data(this.downstream.stream, start, end, last, this.router.responseTrailers);
    if (last) this.responseTxDurationMs = this.elapsedMs;
  }

  /** The response is complete and everything of it was handed to the client's stream. */
  finish(): void {
    this.#end(this.#closeAfter || !this.downstream.requestComplete);
  }

  /** The response cannot be completed: the client learns it from the end of the connection. */
  abort(flag: string, details: string): void {
    if (flag !== '') this.flag(flag);
    this.details = details;
    this.router.abandon();
    // An end of the connection would look like the end of such a body; a reset does not.
    if (this.#writer.framing === 'close') this.downstream.stream.reset();
    this.#end(true, true);
  }

  /** The client is gone. */
  downstreamGone(details: string): void {
    const { manager } = this;
    manager.count(manager.at.downstream_rq_rx_reset);
    manager.count(manager.at.downstream_cx_destroy_remote_active_rq);
    this.flag('DC');
    this.details = details;
    this.router.abandon();
    this.#end(true);
  }

  /** Sends the 101 in responseHead with the tunnel's first bytes; the exchange lives until the tunnel ends. */
  sendUpgrade(start: number, end: number, upstream: Stream): void {
    const { manager } = this;
    manager.count(manager.at.downstream_cx_upgrades_total);
    manager.count(manager.at.downstream_cx_upgrades_active);
    this.status = this.responseHead.status;
    this.#upgraded = true;
    this.responseStarted = true;
    this.responseDurationMs = this.elapsedMs;
    this.bytesSent += end - start;
    this.#writer.framing = 'none';
    this.#writer.head(this.downstream.stream, this.responseHead, start, end, false, null);
    this.downstream.startTunnel(upstream);
  }

  /** Both directions of the tunnel have ended, or it was cut. */
  tunnelEnded(bytesReceived: number, bytesSent: number): void {
    this.bytesReceived += bytesReceived;
    this.bytesSent += bytesSent;
    this.router.tunnelEnded();
    this.#end(true);
  }

  #end(close: boolean, aborted = false): void {
    if (this.ended) return;
    this.ended = true;
    this.deadlines.clear();
    const { manager, downstream } = this;
    this.durationMs = this.elapsedMs;
    manager.count(manager.at.downstream_rq_active, -1);
    if (this.#upgraded) manager.count(manager.at.downstream_cx_upgrades_active, -1);
    if (aborted) manager.count(manager.at.downstream_rq_tx_reset);
    if (this.status > 0) manager.countResponse(this.status, this.durationMs);
    this.#countEdge();
    if (manager.spec.accessLog.length > 0) this.#runtime.logAccess(manager.spec.accessLog, this);
    downstream.exchangeDone(close);
  }

  #countEdge(): void {
    const { edge } = this.downstream.stream;
    if (edge === null) return;
    edge.requests++;
    if (this.status === 0 || this.status >= 500) edge.failures++;
  }

  /** A deadline of the request has passed; the router handles those of its attempts itself. */
  onRequestTimeout(): void {
    const { manager } = this;
    manager.count(manager.at.downstream_rq_timeout);
    this.reply({ status: 408, body: 'request timeout' }, '', 'request_overall_timeout');
  }

  onStreamDuration(): void {
    const { manager } = this;
    manager.count(manager.at.downstream_rq_max_duration_reached);
    if (this.responseStarted) {
      this.abort('', 'max_duration_timeout');
      return;
    }
    const status = this.downstream.requestComplete ? 504 : 408;
    this.reply({ status, body: 'downstream duration timeout', grpcStatus: 4 }, '', 'max_duration_timeout');
  }

  onStreamIdle(): void {
    const { manager } = this;
    manager.count(manager.at.downstream_rq_idle_timeout);
    if (this.responseStarted) {
      this.abort('SI', 'stream_idle_timeout');
      return;
    }
    const status = this.downstream.requestComplete ? 504 : 408;
    this.reply({ status, body: 'stream timeout' }, 'SI', 'stream_idle_timeout');
  }
}
