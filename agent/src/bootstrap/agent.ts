/**
 * The main thread, assembled: workers, configuration, identity, discovery, admin. Read top to bottom it is the order
 * of the start. Invariant: the workers are started before anything is parsed, and nothing listens before it is checked.
 */
import fs from 'node:fs';
import { type Clock, type Logger, systemClock } from '@chainmail/runtime';
import type { AdminContext } from '../admin/commands.ts';
import type { AdminServer } from '../admin/server.ts';
import type { AdminAddress, CompiledBootstrap } from '../config/bootstrap.ts';
import type { RuntimeValues } from '../config/runtime.ts';
import type { MeshIdentity } from '../identity/mesh-identity.ts';
import { AccessLogDrain } from '../log/drain.ts';
import { workerStat, workerStatBase } from '../stats/layout.ts';
import { StatRegistry } from '../stats/registry.ts';
import { TallyCells } from '../worker/connection-tallies.ts';
import { WorkerPool } from '../worker/pool.ts';
import type { AdsClient } from '../xds/ads-client.ts';
import { blocksInUse, limitCellsInUse } from '../xds/blocks-in-use.ts';
import { DnsClusters } from '../xds/dns-clusters.ts';
import { LiveConfig } from '../xds/live-config.ts';
import { DnsService } from './dns-service.ts';
import { drainConnections, type StopTiming } from './graceful-stop.ts';
import { IdleMemory, processMemory } from './idle-memory.ts';
import { mainStats } from './main-stats.ts';
import { ownNode } from './own-node.ts';
import { Rollout } from './rollout.ts';
import { RuntimeTrees } from './runtime-trees.ts';
import { SecretFiles } from './secret-files.ts';
import { ServerState } from './server-state.ts';
import { agentVersion } from './version.ts';

export interface AgentSetup {
  readonly log: Logger;
  readonly concurrency: number;
  /** How long connections of removed listeners and chains may go on. */
  readonly drainMs: number;
  readonly commandLine: Readonly<Record<string, unknown>>;
  readonly clock?: Clock;
}

export interface AdminEndpoint {
  readonly address: AdminAddress;
  readonly mayMutate: boolean;
}

export class Agent {
  readonly state: ServerState;
  readonly registry: StatRegistry;
  readonly pool: WorkerPool;
  readonly secretFiles: SecretFiles;
  readonly limitCell = (name: string): number => this.#limitCells.obtain(name);
  /** Resolves when somebody asked for the end over the admin interface. */
  readonly quitAsked: Promise<void>;
  readonly #limitCells = new TallyCells();
  readonly #setup: AgentSetup;
  readonly #clock: Clock;
  readonly #accessLog: AccessLogDrain;
  readonly #workers: Promise<void>;
  readonly #admin: AdminServer[] = [];
  #quit: () => void = () => undefined;
  readonly #rollout: Rollout;
  readonly #dnsService: DnsService;
  #live: LiveConfig | null = null;
  #dnsClusters: DnsClusters | null = null;
  #ads: AdsClient | null = null;
  #identity: MeshIdentity | null = null;
  #runtimeTrees: RuntimeTrees | null = null;
  readonly #idleMemory: IdleMemory;

  /** Starts the workers at once: they take the time that parsing takes. */
  constructor(setup: AgentSetup) {
    const { log, clock = systemClock } = setup;
    this.#setup = setup;
    this.#clock = clock;
    this.secretFiles = new SecretFiles({ log, clock, onChange: (secrets) => this.#live?.setSecrets(secrets) });
    this.#idleMemory = new IdleMemory(
      clock,
      processMemory(() => this.pool.collect()),
    );
    this.state = new ServerState(clock.now());
    this.registry = new StatRegistry(clock);
    this.#accessLog = new AccessLogDrain(clock, {
      onFailure: (path, reason) => log.error({ path, reason }, 'access log cannot be written'),
    });
    this.#dnsService = new DnsService({ clock, log, registry: this.registry, state: this.state });
    this.#rollout = new Rollout({
      clock,
      log,
      send: (update) => this.pool.update(update),
      isLive: () => this.state.phase === 'LIVE',
      onSettled: () => this.#onChange(),
    });
    this.quitAsked = new Promise((resolve) => {
      this.#quit = resolve;
    });
    this.pool = this.#workerPool();
    this.#workers = this.pool.start();
    // Looked at in serve(); until then a failure must not end the process without a word.
    this.#workers.catch(() => undefined);
  }

  #workerPool(): WorkerPool {
    const { concurrency, log, drainMs } = this.#setup;
    const pool = new WorkerPool({
      concurrency,
      log,
      drainMs,
      clock: this.#clock,
      onLogPressure: () => this.#accessLog.drain(),
      onCrash: ({ slots }) => this.registry.clearGauges(slots),
      onMemory: ({ slots, ring }) => {
        this.registry.attachWorker(slots);
        this.#accessLog.attach(ring);
      },
    });
    this.registry.addSource(() => pool.grpcStats());
    this.registry.addHistograms(() => pool.grpcTimes());
    return pool;
  }

  get live(): LiveConfig {
    if (this.#live === null) throw new Error('the agent has no configuration yet');
    return this.#live;
  }

  get identity(): MeshIdentity | null {
    return this.#identity;
  }

  activeConnections(): number {
    return this.registry.sum(workerStatBase + workerStat.at.connections_active);
  }

  /** Whether the listeners are open and, where there is an identity, its certificate is valid. */
  isReady(): boolean {
    const hasCertificate = this.#identity === null || this.#identity.workload.current() !== undefined;
    return this.state.phase === 'LIVE' && hasCertificate;
  }

  /**
   * Hands the bootstrap to the workers and opens what it says.
   * @throws UserError when a listener of the bootstrap cannot be opened
   */
  async serve(bootstrap: CompiledBootstrap, identity: MeshIdentity | null): Promise<void> {
    this.#identity = identity;
    await this.#workers;
    this.#dnsClusters = new DnsClusters({
      clock: this.#clock,
      log: this.#setup.log,
      onResolved: (cluster, endpoints) => this.#live?.setResolved(cluster, endpoints),
    });
    const live = this.#liveConfig(bootstrap);
    this.#live = live;
    this.pool.limitConnections(bootstrap.maxConnections);
    this.registry.addSource(() => mainStats(this.#statSources(live, bootstrap.runtime)));
    const files = this.secretFiles.current();
    if (files.length > 0) live.setSecrets(files);
    live.loadStatic(bootstrap.clusters, bootstrap.listeners, bootstrap.secrets);
    this.#watchRuntime(bootstrap);
    this.state.configured();
    this.#onChange();
  }

  #liveConfig(bootstrap: CompiledBootstrap): LiveConfig {
    const { adsCluster, cds, lds } = bootstrap.dynamic;
    return new LiveConfig({
      env: {
        stats: this.registry,
        limitCell: this.limitCell,
        readFile: (path) => fs.readFileSync(path),
        watchSecret: (file) => this.secretFiles.watch(file),
        hasIdentity: this.#identity !== null,
        ...bootstrap.own,
        staticSecrets: new Set(bootstrap.secrets.map((s) => s.name)),
        runtime: bootstrap.runtime,
      },
      clock: this.#clock,
      cds,
      lds,
      ownClusters: new Set(adsCluster === null ? [] : [adsCluster]),
      publish: (update) => {
        this.#idleMemory.touched();
        this.#rollout.publish(update);
      },
      onRuntime: () => this.#recompile(bootstrap),
      onChange: () => this.#onChange(),
    });
  }

  #watchRuntime(bootstrap: CompiledBootstrap): void {
    const { runtime } = bootstrap;
    if (runtime.trees.length === 0) return;
    const { log } = this.#setup;
    const onChange = (): void => this.#recompile(bootstrap);
    this.#runtimeTrees = new RuntimeTrees({ runtime, log, clock: this.#clock, onChange });
  }

  /** The bootstrap's listeners are open. @throws UserError when one is not */
  async opened(): Promise<void> {
    await this.#rollout.settled();
  }

  /** Connects to the control plane of the bootstrap, once there is a certificate to show. */
  async discover(bootstrap: CompiledBootstrap): Promise<void> {
    const { adsCluster, cds, lds } = bootstrap.dynamic;
    const cluster = bootstrap.clusters.find((c) => c.spec.name === adsCluster);
    if (cluster === undefined) return;
    const [{ AdsClient: Client }, { adsChannel }, { adsEndpoint }] = await Promise.all([
      import('../xds/ads-client.ts'),
      import('../xds/ads-channel.ts'),
      import('../xds/ads-credentials.ts'),
    ]);
    const endpoint = adsEndpoint(cluster, bootstrap.secrets, this.#identity?.workload ?? null);
    await this.#identity?.workload.ready();
    if (this.state.isStopping) return;
    this.#ads = new Client({
      open: adsChannel(endpoint),
      target: this.live,
      node: ownNode(bootstrap.message.node),
      clock: this.#clock,
      log: this.#setup.log,
      cds,
      lds,
    });
    this.#ads.start();
  }

  /** Opens the admin interface. Returns the addresses, the first one first. */
  async openAdmin(bootstrap: CompiledBootstrap, endpoints: readonly AdminEndpoint[]): Promise<readonly string[]> {
    if (endpoints.length === 0) return [];
    const [{ adminCommands }, { startAdminServer }] = await Promise.all([
      import('../admin/commands.ts'),
      import('../admin/server.ts'),
    ]);
    const commands = adminCommands(this.#adminContext(bootstrap));
    for (const { address, mayMutate } of endpoints) {
      this.#admin.push(await startAdminServer({ address, commands, mayMutate }));
    }
    return this.#admin.map((server) => server.address);
  }

  reopenLogs(): void {
    this.#accessLog.reopen();
  }

  /** Lets connections finish, then ends everything. */
  async stop(timing: StopTiming): Promise<void> {
    if (this.state.isStopping) return;
    this.state.stopping();
    await drainConnections(
      {
        drain: (deadlineMs) => this.pool.drain('all', deadlineMs),
        stopListeners: (direction) => this.pool.stopListeners(direction),
        activeConnections: () => this.activeConnections(),
      },
      timing,
      this.#clock,
    );
    await this.close();
  }

  /** Ends everything now. */
  async close(): Promise<void> {
    this.state.stopping();
    this.#idleMemory.stop();
    this.secretFiles.stop();
    this.#runtimeTrees?.stop();
    this.#ads?.stop();
    this.#dnsClusters?.stop();
    this.#dnsService.stop();
    this.#identity?.stop();
    await this.#workers.catch(() => undefined);
    await this.pool.stop();
    await this.#accessLog.close();
    await Promise.all(this.#admin.map((server) => server.close()));
  }

  #onChange(): void {
    const live = this.#live;
    if (live === null) return;
    const { resources } = live;
    const opening = this.#dnsService.sync(resources.dnsListeners);
    if (opening !== null) this.#rollout.track(opening, 'DNS listeners are not served');
    const { isSettled, hasStartErrors } = this.#rollout;
    if (live.isInitialised && isSettled && !hasStartErrors) this.state.opened();
    if (isSettled) {
      this.registry.retain(blocksInUse(resources));
      this.#limitCells.retain(limitCellsInUse(resources));
    }
    this.#dnsClusters?.sync(resources.dnsClusters);
  }

  /** False without an admin layer. */
  #modifyRuntime(bootstrap: CompiledBootstrap, changes: Iterable<readonly [string, string]>): boolean {
    if (!bootstrap.runtime.modify(changes)) return false;
    this.#recompile(bootstrap);
    return true;
  }

  /** The runtime has changed. */
  #recompile(bootstrap: CompiledBootstrap): void {
    const { clusters, listeners } = bootstrap.recompile();
    this.live.recompile(clusters, listeners);
  }

  #statSources(live: LiveConfig, runtime: RuntimeValues): Parameters<typeof mainStats>[0] {
    return {
      runtime,
      state: this.state,
      live,
      concurrency: this.#setup.concurrency,
      nowMs: () => this.#clock.now(),
      activeConnections: () => this.activeConnections(),
      ads: () => this.#ads?.stats ?? null,
      identity: () => this.#identity?.figures() ?? null,
      logDropped: () => this.#accessLog.dropped,
    };
  }

  #adminContext(bootstrap: CompiledBootstrap): AdminContext {
    const { log, commandLine, drainMs } = this.#setup;
    return {
      bootstrap: bootstrap.message,
      node: ownNode(bootstrap.message.node),
      startedMs: this.state.startedMs,
      live: this.live,
      state: this.state,
      clock: this.#clock,
      log,
      registry: this.registry,
      agentVersion,
      commandLine,
      version: (kind) => this.#ads?.stats.version(kind) ?? '',
      hosts: () => this.pool.hosts(),
      edges: () => this.pool.edges(),
      drainListeners: (direction, graceful) => {
        if (!graceful) return this.pool.stopListeners(direction);
        this.pool.drain(direction, drainMs);
        this.#clock.after(drainMs, () => this.pool.stopListeners(direction));
      },
      runtime: bootstrap.runtime,
      modifyRuntime: (changes) => this.#modifyRuntime(bootstrap, changes),
      reopenLogs: () => this.reopenLogs(),
      quit: () => this.#quit(),
    };
  }
}
