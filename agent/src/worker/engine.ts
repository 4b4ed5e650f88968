/**
 * What runs in a worker: the loop, the configuration applied to it, and what it offers to the protocols
 * (WorkerRuntime). Knows nothing of threads, so that tests can drive it turn by turn.
 */
import type { Cluster } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/create.ts';
import type { LogRecord } from '../http/request-view.ts';
import type { AccessLogWriter } from '../log/access-log.ts';
import type { ClusterSpec } from '../model/cluster.ts';
import type { ListenerSpec } from '../model/listener.ts';
import type { AccessLogSpec } from '../model/log.ts';
import type { ClusterHosts, ConfigUpdate } from '../model/update.ts';
import { Dialer } from '../net/dialer.ts';
import { EdgeTable } from '../net/edge-table.ts';
import { HandshakeGate } from '../net/handshake-gate.ts';
import type { Loop } from '../net/loop.ts';
import type { StreamOwner } from '../net/socket-stream.ts';
import type { Stream, StreamHandler } from '../net/stream.ts';
import { TlsContexts } from '../net/tls-contexts.ts';
import { compileRouteTable } from '../route/compile.ts';
import type { RouteTable } from '../route/route-table.ts';
import { workerStat, workerStatBase } from '../stats/layout.ts';
import { ActiveChain } from './active-chain.ts';
import { ActiveListener } from './active-listener.ts';
import { ConnectionCensus } from './connection-census.ts';
import { ConnectionTallies } from './connection-tallies.ts';
import { DialledOwner } from './dialled-owner.ts';
import type { DialOptions, LoopClock, Timers, WorkerRuntime } from './runtime.ts';
import { createTerminal } from './terminal.ts';

const faultIntervalMs = 1000;

export type Report = (
  level: 'debug' | 'info' | 'warn' | 'error',
  msg: string,
  fields: Readonly<Record<string, string | number>>,
) => void;

export interface EngineOptions {
  readonly slots: Float64Array;
  readonly log: AccessLogWriter;
  readonly random: () => number;
  /** Tells what all workers see; absent for one that is alone. */
  readonly isSpeaker?: boolean;
  /** How long connections of a removed chain or listener may go on. */
  readonly drainMs: number;
  readonly report: Report;
  /** Counts connections over all workers; absent for one that is alone. */
  readonly census?: ConnectionCensus;
  /** The same for the connection_limit filters. */
  readonly tallies?: ConnectionTallies;
}

export class Engine implements WorkerRuntime {
  readonly clock: LoopClock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly slots: Float64Array;
  readonly readBuffer: Buffer;
  readonly edges: EdgeTable = new EdgeTable();
  readonly #loop: Loop;
  readonly #options: EngineOptions;
  readonly #contexts: TlsContexts;
  readonly #handshakes: HandshakeGate;
  readonly #census: ConnectionCensus;
  readonly #tallies: ConnectionTallies;
  readonly #dialer: Dialer;
  readonly #clusters = new Map<string, Cluster>();
  readonly #routes = new Map<string, RouteTable>();
  readonly #listeners = new Map<string, ActiveListener>();
  #ownPorts: ReadonlySet<number> = new Set();
  #faults = 0;
  #faultToldMs = Number.NEGATIVE_INFINITY;
  #draining: 'none' | 'inbound' | 'all' = 'none';

  constructor(loop: Loop, options: EngineOptions) {
    this.#loop = loop;
    this.#options = options;
    this.clock = loop;
    this.timers = loop;
    this.random = options.random;
    this.slots = options.slots;
    this.readBuffer = loop.region.buffer;
    this.#contexts = new TlsContexts(
      () => loop.wallMs,
      (problem) => options.report('warn', 'TLS context', { problem }),
    );
    this.#census = options.census ?? ConnectionCensus.single();
    this.#tallies = options.tallies ?? ConnectionTallies.single();
    this.#handshakes = new HandshakeGate(loop);
    this.#dialer = new Dialer(loop, this.#contexts, (dial) => this.#ownerOf(dial));
    loop.onFault = (error) => this.#fault(error);
    loop.onTurnEnd = () => options.log.publish();
  }

  /** Told at most once a second: a peer that has found a bug must not fill the log with it. */
  #fault(error: unknown): void {
    this.#faults++;
    if (this.#loop.nowMs < this.#faultToldMs + faultIntervalMs) return;
    this.#faultToldMs = this.#loop.nowMs;
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.report('error', 'a connection was aborted by a bug', { detail, sinceStart: this.#faults });
  }

  #ownerOf(dial: DialOptions): StreamOwner {
    const cluster = this.#clusters.get(dial.target);
    return new DialledOwner(dial, this.slots, cluster?.stats ?? -1, this.edges);
  }

  cluster(name: string): Cluster | undefined {
    return this.#clusters.get(name);
  }

  routes(name: string): RouteTable | undefined {
    return this.#routes.get(name);
  }

  dial(options: DialOptions, handler: StreamHandler): Stream {
    return this.#dialer.dial(options, this.cluster(options.target)?.spec.proxyProtocol ?? null, handler);
  }

  defer(work: () => void): void {
    this.#loop.defer(work);
  }

  logAccess(sinks: readonly AccessLogSpec[], record: LogRecord): void {
    this.#options.log.write(sinks, record);
  }

  logEvent(path: string, line: string): void {
    if (this.#options.isSpeaker !== false) this.#options.log.writeLine(path, line);
  }

  draining(direction: 'inbound' | 'outbound' | 'unspecified'): boolean {
    return this.#draining === 'all' || (this.#draining === 'inbound' && direction === 'inbound');
  }

  /** One atomic change, in the order of model/update.ts. What cannot be applied is told; the rest is. */
  apply(update: ConfigUpdate): readonly string[] {
    const errors: string[] = [];
    const attempt = (what: string, work: () => void): void => {
      try {
        work();
      } catch (error) {
        errors.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    for (const secret of update.secrets) this.#contexts.setSecret(secret);
    for (const { name } of update.secrets) attempt(`secret ${name}`, () => this.#drainOrphans(name));
    for (const spec of update.clusters) attempt(`cluster ${spec.name}`, () => this.#applyCluster(spec));
    for (const endpoints of update.endpoints) {
      attempt(`endpoints of ${endpoints.cluster}`, () => this.cluster(endpoints.cluster)?.setEndpoints(endpoints));
    }
    for (const { name } of update.secrets) {
      for (const c of this.#clusters.values()) attempt(`cluster ${c.name}`, () => c.onSecretChanged(name));
    }
    for (const spec of update.routes) {
      attempt(`routes ${spec.name}`, () => this.#routes.set(spec.name, compileRouteTable(spec)));
    }
    for (const spec of update.listeners) {
      attempt(`listener ${spec.name}`, () => errors.push(...this.#applyListener(spec)));
    }
    this.#remove(update, attempt);
    this.#retainContexts();
    this.#count(workerStat.at.update_total);
    return errors;
  }

  /** A trust anchor is gone: whoever was let in on its word may finish, and is cut at the deadline. */
  #drainOrphans(secret: string): void {
    const orphans = this.#contexts.orphansOf(secret);
    if (orphans.length === 0) return;
    this.#options.report('info', 'trust anchors were removed; their connections are drained', {
      secret,
      connections: orphans.length,
    });
    this.#loop.after(this.#options.drainMs, () => {
      for (const orphan of orphans) orphan.abort('local', "the peer's trust anchor was removed");
    });
  }

  #applyCluster(spec: ClusterSpec): void {
    const known = this.#clusters.get(spec.name);
    if (known === undefined) this.#clusters.set(spec.name, createCluster(spec, this));
    else known.update(spec);
  }

  #applyListener(spec: ListenerSpec): readonly string[] {
    let listener = this.#listeners.get(spec.name);
    if (listener === undefined) {
      listener = new ActiveListener(spec, {
        loop: this.#loop,
        slots: this.slots,
        census: this.#census,
        drainMs: this.#options.drainMs,
        report: this.#options.report,
        isOwnPort: (port) => this.#ownPorts.has(port),
        createChain: (chain, of) =>
          new ActiveChain(chain, of, {
            loop: this.#loop,
            slots: this.slots,
            edges: this.edges,
            handshakes: this.#handshakes,
            census: this.#census,
            tallies: this.#tallies,
            tls: chain.tls === null ? null : this.#contexts.slot('server', chain.key, chain.tls),
            createTerminal: (terminal, context) => createTerminal(terminal, this, context),
          }),
      });
    }
    const errors = listener.apply(spec);
    this.#listeners.set(spec.name, listener);
    this.#ownPorts = new Set([...this.#listeners.values()].flatMap((l) => l.ports));
    return errors;
  }

  #remove(update: ConfigUpdate, attempt: (what: string, work: () => void) => void): void {
    for (const name of update.removeListeners) {
      this.#listeners.get(name)?.drain(this.#options.drainMs);
      this.#listeners.delete(name);
    }
    for (const name of update.removeRoutes) this.#routes.delete(name);
    for (const name of update.removeClusters) {
      const gone = this.#clusters.get(name);
      this.#clusters.delete(name);
      if (gone !== undefined) attempt(`cluster ${name}`, () => gone.close());
    }
  }

  #retainContexts(): void {
    const servers = new Set<string>();
    for (const { spec } of this.#listeners.values()) {
      for (const c of spec.chains) servers.add(c.key);
      if (spec.defaultChain !== null) servers.add(spec.defaultChain.key);
    }
    this.#contexts.retain('server', servers);
    const clients = new Set<string>();
    for (const { spec } of this.#clusters.values()) {
      for (const tls of [spec.tls, ...spec.tlsMatches.map((m) => m.tls)]) if (tls !== null) clients.add(tls.key);
    }
    this.#contexts.retain('client', clients);
  }

  /** From now on responses carry Connection: close; what is left at the deadline is cut. */
  drain(direction: 'inbound' | 'all', deadlineMs: number): void {
    if (this.#draining !== 'all') this.#draining = direction;
    this.#loop.after(deadlineMs, () => {
      for (const listener of this.#select(direction)) listener.closeAll();
    });
  }

  stopListeners(direction: 'inbound' | 'all'): void {
    for (const listener of this.#select(direction)) listener.stopAccepting();
  }

  #select(direction: 'inbound' | 'all'): readonly ActiveListener[] {
    return [...this.#listeners.values()].filter((l) => direction === 'all' || l.spec.direction === 'inbound');
  }

  /** The end: everything that is open is closed. */
  close(): void {
    for (const listener of this.#listeners.values()) {
      listener.stopAccepting();
      listener.closeAll();
    }
    for (const cluster of this.#clusters.values()) cluster.close();
    this.#options.log.publish();
  }

  hosts(): readonly ClusterHosts[] {
    return [...this.#clusters.values()].map((c) => c.snapshot());
  }

  /** Bytes that wait for slow peers, over all streams. */
  get queuedBytes(): number {
    return this.#loop.chunks.queuedBytes;
  }

  /** Ports of a listener, for tests that bind to port 0. */
  portsOf(listener: string): readonly number[] {
    return this.#listeners.get(listener)?.ports ?? [];
  }

  #count(offset: number): void {
    const slot = workerStatBase + offset;
    this.slots[slot] = (this.slots[slot] ?? 0) + 1;
  }
}
