/**
 * The main thread's side of the workers: starts them, sends them configuration, collects what they say, and starts a
 * crashed one anew with the whole configuration. Invariant: every order gets an answer or fails with the worker.
 */
import { getCompileCacheDir } from 'node:module';
import path from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { Backoff, type Clock, type Logger, systemClock } from '@chainmail/runtime';
import { createRing } from '../log/ring.ts';
import type { ClusterHosts, ConfigUpdate, EdgeCount, FromWorker, ToWorker } from '../model/update.ts';
import { GrpcCallSums, grpcStats, grpcTimes } from '../stats/grpc-calls.ts';
import { slotCount } from '../stats/layout.ts';
import type { MainHistogram, MainStat } from '../stats/registry.ts';
import { throwawayCertificate } from '../sys/throwaway-certificate.ts';
import { closeDescriptor, openWake, wake } from '../sys/wake.ts';
import { ConfigState } from './config-state.ts';
import { ConnectionCensus } from './connection-census.ts';
import { ConnectionTallies } from './connection-tallies.ts';
import type { WorkerStart } from './worker-entry.ts';

export interface WorkerPoolOptions {
  readonly concurrency: number;
  readonly log: Logger;
  /** How long connections of removed listeners and chains may go on. */
  readonly drainMs: number;
  /** Hands a worker's shared memory to statistics and the access log before it runs. */
  readonly onMemory: (memory: WorkerMemory) => void;
  /** A worker's log ring is half full. */
  readonly onLogPressure?: () => void;
  /** A worker has died: its memory still says what it had open. */
  readonly onCrash?: (memory: WorkerMemory) => void;
  readonly clock?: Clock;
  readonly seed?: number;
}

export interface WorkerMemory {
  readonly index: number;
  readonly slots: Float64Array;
  readonly ring: SharedArrayBuffer;
}

/** Young generation: garbage is scarce on the hot path, and a small one keeps the anonymous memory low. */
const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 512, stackSizeMb: 4 };
const exitWaitMs = 3000;
/** Descriptors above are not cleaned up after a crash; the kernel's usual limit is the same number. */
const maxFds = 1 << 20;

/** The compile cache of this thread, when it has one (run from its sources): it saves a worker the TypeScript stripper. */
function workerEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  if (cache === undefined) return process.env;
  return { ...process.env, NODE_COMPILE_CACHE: path.dirname(cache), NODE_COMPILE_CACHE_PORTABLE: '1' };
}

/** A bundle has it beside this file as well. */
const workerEntry = new URL(`./worker-entry${path.extname(import.meta.url)}`, import.meta.url);

/** What all workers see: see ConnectionCensus and ConnectionTallies. */
type SharedCounts = Pick<WorkerStart, 'census' | 'tallies'>;

interface Waiting {
  readonly done: (message: FromWorker) => void;
  readonly failed: (error: Error) => void;
}

class WorkerHost {
  readonly memory: WorkerMemory;
  edges: readonly EdgeCount[] = [];
  readonly grpcCalls = new GrpcCallSums();
  readonly #options: WorkerPoolOptions;
  readonly #config: ConfigState;
  readonly #clock: Clock;
  readonly #wakeFd = openWake();
  readonly #slots = new SharedArrayBuffer(slotCount * 8);
  readonly #openFds = new SharedArrayBuffer(maxFds);
  readonly #backoff: Backoff;
  #worker: Worker | null = null;
  #port: MessagePort | null = null;
  #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #stopping = false;
  #ready: Promise<void> = Promise.resolve();

  readonly #counts: SharedCounts;

  constructor(index: number, options: WorkerPoolOptions, config: ConfigState, counts: SharedCounts) {
    this.#counts = counts;
    this.#options = options;
    this.#config = config;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff({ baseMs: 100, maxMs: 10_000 });
    this.memory = { index, slots: new Float64Array(this.#slots), ring: createRing() };
    options.onMemory(this.memory);
  }

  start(): Promise<void> {
    this.#ready = new Promise((resolve, reject) => {
      const { port1, port2 } = new MessageChannel();
      const data: WorkerStart = {
        port: port2,
        wakeFd: this.#wakeFd,
        slots: this.#slots,
        ring: this.memory.ring,
        openFds: this.#openFds,
        ...this.#counts,
        index: this.memory.index,
        drainMs: this.#options.drainMs,
        throwaway: throwawayCertificate(Date.now()),
        seed: ((this.#options.seed ?? Math.floor(Math.random() * 2 ** 32)) + this.memory.index) >>> 0,
      };
      const worker = new Worker(workerEntry, {
        workerData: data,
        transferList: [port2],
        resourceLimits: limits,
        env: workerEnvironment(),
        name: `worker-${this.memory.index}`,
      });
      let problem: Error = new Error('the worker has ended');
      port1.on('message', (message: FromWorker) => {
        if (message.type === 'ready') resolve();
        else this.#take(message);
      });
      worker.on('error', (error) => {
        problem = error instanceof Error ? error : new Error(String(error));
      });
      worker.on('exit', () => {
        port1.close();
        reject(problem);
        this.#ended(problem);
      });
      this.#worker = worker;
      this.#port = port1;
    });
    return this.#ready;
  }

  #take(message: FromWorker): void {
    switch (message.type) {
      case 'applied':
      case 'hosts':
        this.#waiting.get(message.id)?.done(message);
        this.#waiting.delete(message.id);
        return;
      case 'edges':
        this.edges = message.edges;
        return;
      case 'grpc-calls':
        this.grpcCalls.take(message.calls);
        return;
      case 'log-pressure':
        this.#options.onLogPressure?.();
        return;
      case 'log':
        this.#options.log[message.level]({ worker: this.memory.index, ...message.fields }, message.msg);
        return;
      case 'ready':
        return;
    }
  }

  #ended(problem: Error): void {
    this.#worker = null;
    this.#port = null;
    this.#closeLeftovers();
    ConnectionCensus.forget(this.#counts.census, this.memory.index);
    ConnectionTallies.forget(this.#counts.tallies, this.memory.index);
    this.#options.onCrash?.(this.memory);
    this.edges = this.edges.map((e) => ({ ...e, active: 0 }));
    this.grpcCalls.workerEnded();
    for (const { failed } of this.#waiting.values()) failed(problem);
    this.#waiting.clear();
    if (this.#stopping) return;
    const delayMs = this.#backoff.next();
    this.#options.log.error({ worker: this.memory.index, err: problem, delayMs }, 'a worker crashed; starting it anew');
    this.#clock.after(delayMs, () => this.#restart());
  }

  /** A dead thread's sockets would go on listening with nobody behind them. */
  #closeLeftovers(): void {
    const open = new Uint8Array(this.#openFds);
    open[this.#wakeFd] = 0;
    for (let fd = open.indexOf(1); fd >= 0; fd = open.indexOf(1, fd + 1)) {
      open[fd] = 0;
      closeDescriptor(fd);
    }
  }

  #restart(): void {
    if (this.#stopping) return;
    this.start()
      .then(async () => {
        const errors = await this.update(this.#config.whole());
        this.#options.log.info({ worker: this.memory.index, errors }, 'worker restarted');
      })
      .catch(() => {}); // the exit of the worker is what asks for the next attempt
  }

  send(message: ToWorker): void {
    this.#port?.postMessage(message);
    wake(this.#wakeFd);
  }

  #ask(make: (id: number) => ToWorker): Promise<FromWorker> {
    const id = this.#nextId++;
    return new Promise((done, failed) => {
      if (this.#worker === null) {
        failed(new Error('the worker is not running'));
        return;
      }
      this.#waiting.set(id, { done, failed });
      this.send(make(id));
    });
  }

  async update(update: ConfigUpdate): Promise<readonly string[]> {
    const answer = await this.#ask((id) => ({ type: 'update', id, update }));
    return answer.type === 'applied' ? answer.errors : [];
  }

  async hosts(): Promise<readonly ClusterHosts[]> {
    const answer = await this.#ask((id) => ({ type: 'query-hosts', id }));
    return answer.type === 'hosts' ? answer.clusters : [];
  }

  /** Ends the thread, by force when it does not listen. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const worker = this.#worker;
    if (worker !== null) {
      const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      this.send({ type: 'exit' });
      const timer = setTimeout(() => void worker.terminate(), exitWaitMs);
      await ended;
      clearTimeout(timer);
    }
    closeDescriptor(this.#wakeFd);
  }
}

export class WorkerPool {
  readonly #hosts: readonly WorkerHost[];
  readonly #config = new ConfigState();
  readonly #census: SharedArrayBuffer;

  constructor(options: WorkerPoolOptions) {
    const census = ConnectionCensus.memory(options.concurrency);
    const counts = { census, tallies: ConnectionTallies.memory(options.concurrency) };
    this.#census = census;
    this.#hosts = Array.from(
      { length: options.concurrency },
      (_, i) => new WorkerHost(i, options, this.#config, counts),
    );
  }

  /** From now on there may be so many downstream connections over all workers; 0 for no limit. */
  limitConnections(connections: number): void {
    ConnectionCensus.limit(this.#census, connections);
  }

  /** Resolves when every worker has passed its self-test. @throws what a worker failed with */
  async start(): Promise<void> {
    await Promise.all(this.#hosts.map((h) => h.start()));
  }

  get memories(): readonly WorkerMemory[] {
    return this.#hosts.map((h) => h.memory);
  }

  /** Applies the update in every worker; what could not be applied, each complaint once. */
  async update(update: ConfigUpdate): Promise<readonly string[]> {
    this.#config.add(update);
    const answers = await Promise.allSettled(this.#hosts.map((h) => h.update(update)));
    // A worker that is down gets the whole configuration when it is back.
    return [...new Set(answers.flatMap((a) => (a.status === 'fulfilled' ? a.value : [])))];
  }

  drain(direction: 'inbound' | 'all', deadlineMs: number): void {
    for (const h of this.#hosts) h.send({ type: 'drain', direction, deadlineMs });
  }

  /** Garbage is collected now: some milliseconds in which a worker does nothing else. */
  collect(): void {
    for (const h of this.#hosts) h.send({ type: 'collect' });
  }

  stopListeners(direction: 'inbound' | 'all'): void {
    for (const h of this.#hosts) h.send({ type: 'stop-listeners', direction });
  }

  /** One list per worker that answers. */
  async hosts(): Promise<readonly (readonly ClusterHosts[])[]> {
    const answers = await Promise.allSettled(this.#hosts.map((h) => h.hosts()));
    return answers.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []));
  }

  /** gRPC calls by method, where they are counted; about a second old at most. */
  grpcStats(): Iterable<MainStat> {
    return grpcStats(this.#hosts.map((h) => h.grpcCalls));
  }

  grpcTimes(): Iterable<MainHistogram> {
    return grpcTimes(this.#hosts.map((h) => h.grpcCalls));
  }

  /** The edges of all workers, about a second old at most. */
  edges(): readonly EdgeCount[] {
    const sum = new Map<string, EdgeCount>();
    for (const e of this.#hosts.flatMap((h) => h.edges)) {
      const key = [e.direction, e.local, e.peer, e.target, e.tls].join('\n');
      const known = sum.get(key);
      sum.set(key, known === undefined ? e : addEdges(known, e));
    }
    return [...sum.values()];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#hosts.map((h) => h.stop()));
  }
}

function addEdges(a: EdgeCount, b: EdgeCount): EdgeCount {
  return {
    ...a,
    connections: a.connections + b.connections,
    active: a.active + b.active,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
  };
}
