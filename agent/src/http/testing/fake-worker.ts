/** A worker for unit tests: a manual clock, fake streams, real clusters and routes. */
import type { Cluster } from '../../cluster/cluster.ts';
import { createCluster } from '../../cluster/create.ts';
import type { ClusterSpec, EndpointSpec } from '../../model/cluster.ts';
import type { HttpConnectionManagerSpec, RouteConfigSpec } from '../../model/http.ts';
import type { AccessLogSpec } from '../../model/log.ts';
import { type ConnectionInfo, readCapacity, readHeadroom, readTailroom, type StreamHandler } from '../../net/stream.ts';
import { compileRouteTable } from '../../route/compile.ts';
import type { RouteTable } from '../../route/route-table.ts';
import { clusterBlockSlots, clusterStat, httpStat, rbacStat } from '../../stats/layout.ts';
import type { DialOptions, TimerHandle, WorkerRuntime } from '../../worker/runtime.ts';
import { createHttpConnectionManager, type HttpConnectionManager } from '../connection-manager.ts';
import type { LogRecord } from '../request-view.ts';
import { FakeStream, plainInfo, type StreamHost } from './fake-stream.ts';
import { copyRecord, type Logged } from './logged.ts';
import { clusterSpec, endpoint, managerSpec, routeConfig, testStats } from './specs.ts';

interface FakeTimer extends TimerHandle {
  readonly dueMs: number;
  readonly call: () => void;
}

export interface FakeSetup {
  readonly manager?: Partial<HttpConnectionManagerSpec>;
  readonly routes?: RouteConfigSpec;
  readonly cluster?: Partial<ClusterSpec>;
  readonly endpoints?: readonly EndpointSpec[];
  readonly random?: () => number;
}

/** An upstream connection that was dialled, and what for. */
export interface Dialled {
  readonly stream: FakeStream;
  readonly options: DialOptions;
}

/** One for all: no handler keeps anything in it when it returns. */
const readBuffer = Buffer.alloc(readHeadroom + readCapacity + readTailroom);

export class FakeWorker implements WorkerRuntime, StreamHost {
  nowMs = 1_000_000;
  readonly clock: { readonly nowMs: number; readonly wallMs: number };
  readonly timers = { after: (delayMs: number, call: () => void): TimerHandle => this.#after(delayMs, call) };
  readonly random: () => number;
  readonly slots = new Float64Array(testStats.slots);
  readonly readBuffer = readBuffer;
  readonly dialled: Dialled[] = [];
  readonly logged: Logged[] = [];
  /** Runs on each record before it is used again. */
  onLog: (record: LogRecord) => void = () => {};
  isDraining = false;
  /** Dialled connections come up by themselves. */
  autoConnect = true;
  readonly #cluster: Cluster;
  readonly #others = new Map<string, Cluster>();
  readonly #routes: RouteTable;
  readonly #manager: HttpConnectionManager;
  readonly #deferred: (() => void)[] = [];
  #settling = false;
  #timers: FakeTimer[] = [];

  constructor(setup: FakeSetup = {}) {
    const worker = this;
    this.clock = {
      get nowMs() {
        return worker.nowMs;
      },
      get wallMs() {
        return 1_800_000_000_000 + worker.nowMs;
      },
    };
    this.random = setup.random ?? (() => 0.5);
    this.#cluster = createCluster(clusterSpec(setup.cluster), this);
    this.#cluster.setEndpoints({ cluster: 'app', endpoints: setup.endpoints ?? [endpoint(8081)] });
    this.#routes = compileRouteTable(setup.routes ?? routeConfig());
    this.#manager = createHttpConnectionManager(managerSpec(setup.manager), this, {
      direction: 'inbound',
      draining: false,
    });
  }

  cluster(name: string): Cluster | undefined {
    return name === 'app' ? this.#cluster : this.#others.get(name);
  }

  /** One more cluster; its numbers are clusterStat(name, n) for the nth. */
  addCluster(name: string, ...endpoints: readonly EndpointSpec[]): void {
    const stats = testStats.cluster + (this.#others.size + 1) * clusterBlockSlots;
    const cluster = createCluster(clusterSpec({ name, stats }), this);
    cluster.setEndpoints({ cluster: name, endpoints });
    this.#others.set(name, cluster);
  }

  setEndpoints(endpoints: readonly EndpointSpec[]): void {
    this.#cluster.setEndpoints({ cluster: 'app', endpoints });
  }

  routes(): RouteTable {
    return this.#routes;
  }

  dial(options: DialOptions, handler: StreamHandler): FakeStream {
    const info = { ...plainInfo, remoteIp: options.address.ip, remotePort: options.address.port };
    const stream = new FakeStream(this, info, false);
    stream.handler = handler;
    this.dialled.push({ stream, options });
    if (this.autoConnect) stream.connect();
    return stream;
  }

  logAccess(_sinks: readonly AccessLogSpec[], record: LogRecord): void {
    this.onLog(record);
    this.logged.push(copyRecord(record));
  }

  logEvent(): void {}

  draining(): boolean {
    return this.isDraining;
  }

  #after(delayMs: number, call: () => void): TimerHandle {
    const timer: FakeTimer = {
      dueMs: this.nowMs + delayMs,
      call,
      cancel: () => {
        this.#timers = this.#timers.filter((t) => t !== timer);
      },
    };
    this.#timers.push(timer);
    return timer;
  }

  get timersSet(): number {
    return this.#timers.length;
  }

  /** Lets time pass, timer by timer. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.dueMs <= end).toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.cancel();
      this.defer(next.call);
    }
    this.nowMs = end;
  }

  defer(work: () => void): void {
    this.#deferred.push(work);
    if (this.#settling) return;
    this.#settling = true;
    for (let next = this.#deferred.shift(); next !== undefined; next = this.#deferred.shift()) next();
    this.#settling = false;
  }

  /** A client connects. */
  client(info: Partial<ConnectionInfo> = {}): FakeStream {
    const stream = new FakeStream(this, { ...plainInfo, ...info }, true);
    this.#manager.accept(stream);
    return stream;
  }

  /** The nth upstream connection. */
  upstream(index = 0): FakeStream {
    const found = this.dialled[index];
    if (found === undefined) throw new Error(`no upstream connection ${index}`);
    return found.stream;
  }

  http(name: keyof typeof httpStat.at): number {
    return this.slots[testStats.http + httpStat.at[name]] ?? 0;
  }

  clusterStat(name: keyof typeof clusterStat.at, cluster = 0): number {
    return this.slots[testStats.cluster + cluster * clusterBlockSlots + clusterStat.at[name]] ?? 0;
  }

  rbac(name: keyof typeof rbacStat.at): number {
    return this.slots[testStats.rbac + rbacStat.at[name]] ?? 0;
  }

  get lastLog(): Logged {
    const last = this.logged.at(-1);
    if (last === undefined) throw new Error('nothing was logged');
    return last;
  }
}
