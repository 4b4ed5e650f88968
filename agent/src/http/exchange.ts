/**
 * One request and its answer, from the first byte to the log line. Between the client's connection, which feeds it,
 * and the router, which works for it; whatever is sent to the client goes through here. Pooled: `begin` makes it new.
 * Invariants: after `#end` nothing is sent and no timer fires; the record that is logged is the exchange itself.
 */

import type { Head } from '../http1/head.ts';
import { rejected, rejectionOf } from '../http1/rejection.ts';
import { countStat } from '../http2/counters.ts';
import type { GrpcStatsSpec } from '../model/http.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Framing } from './body-framing.ts';
import { Deadlines } from './deadlines.ts';
import type { Downstream, ExchangeEnd } from './downstream.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { type GrpcCallCounts, MessageCounter } from './grpc-calls.ts';
import { grpcStatusOf, noGrpcStatus, statusWorth } from './grpc-status.ts';
import { applyEdits, type HeaderEdits } from './header-mutations.ts';
import type { RedirectHistory } from './internal-redirect.ts';
import { buildLocalReply, type LocalReply } from './local-reply.ts';
import type { Manager } from './manager.ts';
import { isGrpcMessage } from './request.ts';
import { Router } from './router.ts';
import { statusText } from './status-text.ts';
import type { UpstreamFacts } from './upstream-facts.ts';

export class Exchange extends ExchangeRecord {
  readonly router: Router;
  readonly deadlines: Deadlines;
  protected readonly upstream: UpstreamFacts;
  readonly #runtime: WorkerRuntime;
  #manager: Manager | null = null;
  #downstream: Downstream | null = null;
  #closeAsked = false;
  /** Trailer fields of the request, once it is complete. */
  requestTrailers: Head | null = null;
  /** The head of the final answer has gone out. */
  responseStarted = false;
  #upgraded = false;
  ended = true;
  hostRewritten = false;
  /** Internal redirects that this request has been through, or null. */
  redirects: RedirectHistory | null = null;
  /** Where this call is counted, or null. */
  #calls: GrpcCallCounts | null = null;
  readonly #asked = new MessageCounter();
  readonly #answered = new MessageCounter();
  /** The answer is made of messages. */
  #answersCall = false;
  /** Cookies that the answer hands out. */
  readonly setCookies: string[] = [];

  constructor(runtime: WorkerRuntime) {
    super(runtime.clock);
    this.#runtime = runtime;
    this.deadlines = new Deadlines(runtime.clock, runtime.timers, this);
    this.router = new Router(this, runtime);
    this.upstream = this.router.facts;
  }

  begin(manager: Manager, downstream: Downstream): void {
    this.#manager = manager;
    this.#downstream = downstream;
    this.beginRecord(downstream.info);
    this.hostRewritten = false;
    this.redirects = null;
    this.#closeAsked = false;
    this.responseStarted = false;
    this.#upgraded = false;
    this.ended = false;
    this.requestTrailers = null;
    this.#calls = null;
    if (this.setCookies.length > 0) this.setCookies.length = 0;
    this.responseHead.reset();
    this.router.reset();
    const { at } = manager;
    manager.count(at.downstream_rq_total);
    manager.count(at.downstream_rq_active);
  }

  get manager(): Manager {
    if (this.#manager === null) throw new Error('exchange: used before begin');
    return this.#manager;
  }

  get downstream(): Downstream {
    if (this.#downstream === null) throw new Error('exchange: used before begin');
    return this.#downstream;
  }

  get attempts(): number {
    return this.router.attempts;
  }

  /** The request is served once more, which Envoy counts as one more. */
  countAgain(): void {
    const { manager, downstream } = this;
    const { at } = manager;
    manager.count(at.downstream_rq_total);
    manager.count(downstream.protocol === 'http1' ? at.downstream_rq_http1_total : at.downstream_rq_http2_total);
  }

  /** The last byte of the request has come. */
  requestDone(): void {
    this.requestDurationMs = this.elapsedMs;
    this.deadlines.requestDone();
  }

  /**
   * Answers in the agent's own name, or breaks off the answer that has begun; flag is one of Envoy's or ''. edit changes
   * responseHead before the last headers go on.
   */
  reply(reply: LocalReply, flag: string, details: string, edit: (() => void) | null = null): void {
    if (this.responseStarted) {
      this.abort(flag, details);
      return;
    }
    if (flag !== '') this.flag(flag);
    this.details = details;
    this.router.abandon();
    const { manager, downstream, responseHead, requestHead } = this;
    const close = downstream.settleClose(this.#closeAsked);
    const rewritten = manager.localReplies?.rewrite(this, reply) ?? null;
    const edits = rewritten?.edits ?? null;
    const body = buildLocalReply(responseHead, rewritten?.reply ?? reply, {
      method: requestHead.method,
      isGrpc: this.isParsed && this.view.isGrpc,
      date: manager.shared.date(),
      server: manager.spec.serverHeader === 'pass_through' ? null : manager.server,
      protocol: downstream.protocol,
      close,
      edit: edits === null ? edit : () => this.#editReply(edit, edits, reply.status),
    });
    this.status = responseHead.status;
    if (this.isParsed && this.view.isGrpc) this.#noteGrpcStatus(grpcStatusOf(responseHead, null));
    this.responseStarted = true;
    const bytes = Buffer.from(body);
    this.bytesSent += bytes.length;
    downstream.sendReply(responseHead, bytes);
    this.#end('answered');
  }

  /** Headers of a mapper still see the status before it, as in Envoy. */
  #editReply(edit: (() => void) | null, edits: readonly HeaderEdits[], status: number): void {
    edit?.();
    this.status = status;
    applyEdits(edits, this.responseHead, this);
  }

  /** Answers a message that the codec refused; a stream of HTTP/2 that Envoy's codec resets has no answer. */
  reject(code: number): void {
    const rejection = rejectionOf(code);
    const { manager, downstream } = this;
    if (code === rejected.underscore && downstream.protocol === 'http2') {
      countStat(manager.http2Counters, 'requests_rejected_with_underscores_in_headers', 1);
      manager.count(manager.at.downstream_rq_rx_reset);
      this.flag('DPE');
      this.details = 'http2.unexpected_underscore';
      this.#end('refused');
      return;
    }
    if (rejection.protocolError) manager.count(manager.at.downstream_cx_protocol_error);
    if (rejection.details === 'path_normalization_failed') {
      manager.count(manager.at.downstream_rq_failed_path_normalization);
    }
    this.#closeAsked = true;
    const body = rejection.phraseBody ? statusText(rejection.status) : '';
    this.reply({ status: rejection.status, body }, rejection.protocolError ? 'DPE' : '', rejection.details);
  }

  /** Asks for the connection to end with this answer. */
  closeAfter(): void {
    this.#closeAsked = true;
  }

  /** Passes an informational answer (1xx but 101) on, as it is in responseHead. */
  sendInformational(): void {
    this.downstream.sendInformational(this.responseHead);
  }

  /**
   * Sends the final head in responseHead, settled but for framing, with the body bytes [start, end) of the read buffer
   * that came along. framing is the upstream's.
   */
  sendHead(framing: Framing, start: number, end: number, last: boolean): void {
    const { downstream, responseHead } = this;
    this.status = responseHead.status;
    this.responseStarted = true;
    this.responseDurationMs = this.elapsedMs;
    this.bytesSent += end - start;
    if (this.#calls !== null) {
      this.#answersCall = responseHead.status === 200 && isGrpcMessage(responseHead);
      this.#countResponseMessages(this.#calls, start, end);
    }
    downstream.settleClose(this.#closeAsked);
    downstream.sendHead(responseHead, framing, start, end, last, this.router.answer.trailers);
    if (last) this.responseTxDurationMs = this.elapsedMs;
  }

  /** Sends body bytes of the read buffer. */
  sendData(start: number, end: number, last: boolean): void {
    this.bytesSent += end - start;
    if (this.#calls !== null) this.#countResponseMessages(this.#calls, start, end);
    this.downstream.sendData(start, end, last, this.router.answer.trailers);
    if (last) this.responseTxDurationMs = this.elapsedMs;
  }

  /** The answer is complete: notes its grpc-status. The HTTP status that it counts as. */
  settleGrpcStatus(): number {
    if (!this.view.isGrpc) return this.status;
    this.#noteGrpcStatus(grpcStatusOf(this.responseHead, this.router.answer.trailers));
    if (this.#calls !== null && this.requestDurationMs >= 0) this.#calls.took(this.elapsedMs - this.requestDurationMs);
    return statusWorth(this.grpcStatus, this.status);
  }

  #noteGrpcStatus(status: number): void {
    this.grpcStatus = status;
    if (this.#calls !== null && status !== noGrpcStatus) this.#calls.ended(status);
  }

  /** grpc_stats: this is a call to the cluster if it is one of gRPC, with the first of its body in the read buffer. */
  countCall(spec: GrpcStatsSpec, cluster: string, start: number, end: number): void {
    if (!this.view.isGrpc) return;
    this.#calls = this.manager.shared.grpcCalls.of(spec, cluster, this.view.pathOnly);
    this.#asked.reset();
    this.#answered.reset();
    this.countRequestMessages(start, end);
  }

  countRequestMessages(start: number, end: number): void {
    if (this.#calls === null || start === end) return;
    this.#calls.requestMessages += this.#asked.count(this.#runtime.readBuffer, start, end);
    this.#calls.changed = true;
  }

  #countResponseMessages(calls: GrpcCallCounts, start: number, end: number): void {
    if (!this.#answersCall) return;
    calls.responseMessages += this.#answered.count(this.#runtime.readBuffer, start, end);
    calls.changed = true;
  }

  responseTrailer(name: string): string | null {
    return this.router.answer.trailers?.get(name) ?? null;
  }

  /** The response is complete and everything of it was handed to the client's connection. */
  finish(): void {
    this.#end('answered');
  }

  /** The response cannot be completed. */
  abort(flag: string, details: string): void {
    if (flag !== '') this.flag(flag);
    this.details = details;
    this.router.abandon();
    this.#end('aborted');
  }

  /** The client is gone. */
  downstreamGone(flag: 'DC' | 'DPE' | 'DR', details: string): void {
    const { manager } = this;
    manager.count(manager.at.downstream_rq_rx_reset);
    this.flag(flag);
    this.details = details;
    this.router.abandon();
    this.#end('gone');
  }

  /** Sends the 101 in responseHead; the exchange lives until the tunnel ends. */
  sendUpgrade(): void {
    const { manager } = this;
    manager.count(manager.at.downstream_cx_upgrades_total);
    manager.count(manager.at.downstream_cx_upgrades_active);
    this.status = this.responseHead.status;
    this.#upgraded = true;
    this.responseStarted = true;
    this.responseDurationMs = this.elapsedMs;
    this.downstream.sendUpgrade(this.responseHead);
  }

  #end(end: ExchangeEnd): void {
    if (this.ended) return;
    this.ended = true;
    this.deadlines.clear();
    const { manager, downstream } = this;
    this.durationMs = this.elapsedMs;
    manager.count(manager.at.downstream_rq_active, -1);
    if (this.#upgraded) manager.count(manager.at.downstream_cx_upgrades_active, -1);
    if (end === 'aborted') manager.count(manager.at.downstream_rq_tx_reset);
    if (this.status > 0) manager.countResponse(this.status, this.durationMs);
    if (this.status < 500 && statusWorth(this.grpcStatus, 0) >= 500)
      manager.count(manager.at.downstream_rq_grpc_failure);
    this.#countEdge();
    if (manager.spec.accessLog.length > 0) this.#runtime.logAccess(manager.spec.accessLog, this);
    downstream.exchangeDone(end);
  }

  #countEdge(): void {
    const { edge } = this.downstream;
    if (edge === null) return;
    edge.requests++;
    if (this.status === 0 || statusWorth(this.grpcStatus, this.status) >= 500) edge.failures++;
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
    const status = this.downstream.requestComplete ? 504 : 408;
    this.reply({ status, body: 'downstream duration timeout', grpcStatus: 4 }, '', 'max_duration_timeout');
  }

  onStreamIdle(): void {
    const { manager } = this;
    manager.count(manager.at.downstream_rq_idle_timeout);
    const status = this.downstream.requestComplete ? 504 : 408;
    this.reply({ status, body: 'stream timeout' }, 'SI', 'stream_idle_timeout');
  }
}
