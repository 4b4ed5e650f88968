/** What all connections of one HTTP connection manager share: its configuration, compiled, and its statistics. */

import { type StaticHeader, staticHeader } from '../http1/head.ts';
import type { HeadLimits } from '../http1/parse-head.ts';
import { countersAt, type Http2Counters } from '../http2/counters.ts';
import { defaultHttp2Options, type Http2Options } from '../http2/options.ts';
import { compileFormat } from '../log/format.ts';
import type { GrpcStatsSpec, HttpConnectionManagerSpec } from '../model/http.ts';
import { readHeadroom } from '../net/stream.ts';
import { type CompiledRbac, compileRbac } from '../policy/rbac.ts';
import { http2Stat, httpHistogram, httpStat, observe, rbacStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { ownIpv4 } from './client-address.ts';
import { ClientOrigin } from './client-origin.ts';
import { RouteCompiler } from './compiled-route.ts';
import { compileUserAgent, type UserAgent } from './forwarding-headers.ts';
import { compileEarlyMutations, type FormatCompiler, type HeaderEdits } from './header-mutations.ts';
import { Http1ResponseWriter } from './http1-response-writer.ts';
import { LocalReplies } from './local-replies.ts';
import { pathMarksOf } from './request-headers.ts';
import { type WorkerShared, workerShared } from './worker-shared.ts';

/** Where the connections come from. */
export interface HttpListenerContext {
  readonly direction: 'inbound' | 'outbound' | 'unspecified';
  /** The filter chain goes away: answers carry Connection: close. */
  readonly draining: boolean;
}

export interface RbacFilter {
  readonly name: string;
  readonly stats: number;
  readonly rules: CompiledRbac | null;
  readonly shadowRules: CompiledRbac | null;
}

/** Added headers see values before they were settled as empty, never as `-`. */
const formatOf: FormatCompiler = (format) => {
  const compiled = compileFormat(format);
  const { constant } = compiled;
  return constant === null ? (record) => compiled.evaluate(record) : () => constant;
};

export class Manager {
  readonly spec: HttpConnectionManagerSpec;
  readonly runtime: WorkerRuntime;
  readonly context: HttpListenerContext;
  readonly shared: WorkerShared;
  readonly http1Writer: Http1ResponseWriter;
  readonly limits: HeadLimits;
  readonly filters: readonly RbacFilter[];
  readonly routes = new RouteCompiler(formatOf);
  readonly server: StaticHeader;
  readonly ownAddress: string;
  /** Marks of paths that are to be normalised. */
  readonly pathMarks: number;
  readonly upgrades: ReadonlySet<string>;
  readonly origin: ClientOrigin | null;
  readonly userAgent: UserAgent | null;
  readonly via: string;
  readonly earlyMutations: readonly HeaderEdits[] | null;
  readonly localReplies: LocalReplies | null;
  /** Null where gRPC calls are not counted by method. */
  readonly grpcStats: GrpcStatsSpec | null;
  readonly at = httpStat.at;
  /** What took the place of this configuration while its connections go on. */
  successor: Manager | null = null;
  readonly http2: Http2Options;
  readonly http2Counters: Http2Counters;
  readonly #slots: Float64Array;
  readonly #base: number;

  constructor(spec: HttpConnectionManagerSpec, runtime: WorkerRuntime, context: HttpListenerContext) {
    this.spec = spec;
    this.runtime = runtime;
    this.context = context;
    this.shared = workerShared(runtime);
    this.http1Writer = new Http1ResponseWriter(runtime.readBuffer, this.shared);
    // A head that comes in pieces is put together in the room before the read buffer's data.
    this.limits = { maxBytes: Math.min(spec.maxRequestHeadersBytes, readHeadroom), maxHeaders: spec.maxHeadersCount };
    this.filters = spec.filters.flatMap((filter) =>
      filter.kind === 'rbac'
        ? [
            {
              name: filter.name,
              stats: filter.stats,
              rules: filter.rules === null ? null : compileRbac(filter.rules),
              shadowRules: filter.shadowRules === null ? null : compileRbac(filter.shadowRules),
            },
          ]
        : [],
    );
    this.server = staticHeader('server', spec.serverName);
    this.ownAddress = spec.useRemoteAddress ? ownIpv4() : '';
    this.pathMarks = pathMarksOf(spec);
    this.upgrades = new Set(spec.upgrades.map((u) => u.toLowerCase()));
    this.origin = spec.origin ? new ClientOrigin(spec.origin) : null;
    this.userAgent = spec.userAgent ? compileUserAgent(spec.userAgent) : null;
    this.via = spec.via ?? '';
    this.earlyMutations = compileEarlyMutations(spec.earlyMutations ?? [], formatOf);
    this.localReplies = spec.localReplies ? new LocalReplies(spec.localReplies, formatOf, runtime.random) : null;
    this.grpcStats = spec.filters.find((f) => f.kind === 'grpc_stats') ?? null;
    this.http2 = spec.http2 ?? {
      ...defaultHttp2Options,
      maxHeaderBytes: spec.maxRequestHeadersBytes,
      maxHeaders: spec.maxHeadersCount,
    };
    this.http2Counters = countersAt(runtime.slots, spec.http2Stats, (name) => http2Stat.at[name]);
    this.#slots = runtime.slots;
    this.#base = spec.stats;
  }

  /** The configuration that holds for a request that begins now. */
  get latest(): Manager {
    let manager: Manager = this;
    while (manager.successor !== null) manager = manager.successor;
    return manager;
  }

  get draining(): boolean {
    return this.context.draining || this.runtime.draining(this.context.direction);
  }

  /** Adds to a number of this connection manager. */
  count(slot: number, by = 1): void {
    const i = this.#base + slot;
    this.#slots[i] = (this.#slots[i] as number) + by;
  }

  countRbac(filter: RbacFilter, what: keyof typeof rbacStat.at): void {
    const i = filter.stats + rbacStat.at[what];
    this.#slots[i] = (this.#slots[i] as number) + 1;
  }

  /** Counts an answered request by its class, and its time. */
  countResponse(status: number, durationMs: number): void {
    const { at } = this;
    this.count(at.downstream_rq_completed);
    if (status >= 500) this.count(at.downstream_rq_5xx);
    else if (status >= 400) this.count(at.downstream_rq_4xx);
    else if (status >= 300) this.count(at.downstream_rq_3xx);
    else if (status >= 200) this.count(at.downstream_rq_2xx);
    else if (status >= 100) this.count(at.downstream_rq_1xx);
    observe(this.#slots, this.#base + httpHistogram.downstream_rq_time, durationMs);
  }
}
