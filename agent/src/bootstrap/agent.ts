/**
 * The main thread, assembled: workers, configuration, identity, discovery, admin. Read top to bottom it is the order
 * of the start. Invariant: the workers are started before anything is parsed, and nothing listens before it is checked.
 */
import fs from 'node:fs';
import { type Clock, clientFeatures, type Logger, messageOf, systemClock, UserError } from '@chainmail/runtime';
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { AdminContext } from '../admin/commands.ts';
import type { AdminServer } from '../admin/server.ts';
import type { AdminAddress, CompiledBootstrap } from '../config/bootstrap.ts';
import type { DnsSpec } from '../config/cluster.ts';
import type { RuntimeValues } from '../config/runtime.ts';
import type { DnsProxies } from '../dns/dns-proxies.ts';
import type { MeshIdentity } from '../identity/mesh-identity.ts';
import { AccessLogDrain } from '../log/drain.ts';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { ConfigUpdate } from '../model/update.ts';
import { workerStat, workerStatBase } from '../stats/layout.ts';
import { StatRegistry } from '../stats/registry.ts';
import { TallyCells } from '../worker/connection-tallies.ts';
import { WorkerPool } from '../worker/pool.ts';
import type { AdsClient } from '../xds/ads-client.ts';
import { blocksInUse, limitCellsInUse } from '../xds/blocks-in-use.ts';
import { DnsClusters } from '../xds/dns-clusters.ts';
import { LiveConfig } from '../xds/live-config.ts';
import { drainConnections, type StopTiming } from './graceful-stop.ts';
import { IdleMemory, processMemory } from './idle-memory.ts';
import { mainStats } from './main-stats.ts';
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
  #live: LiveConfig | null = null;
  #dns: DnsClusters | null = null;
  #dnsProxies: Promise<DnsProxies> | null = null;
  #dnsListeners: readonly DnsListenerSpec[] = [];
  #ads: AdsClient | null = null;
  #identity: MeshIdentity | null = null;
  #runtimeTrees: RuntimeTrees | null = null;
  readonly #idleMemory: IdleMemory;
  #applying = 0;
  /** Complaints of the workers about the bootstrap's own resources, e.g. a taken address. */
  #startErrors: string[] = [];

  /** Starts the workers at once: they take the time that parsing takes. */
  constructor(setup: AgentSetup) {
    this.#setup = setup;
    this.#clock = setup.clock ?? systemClock;
    this.secretFiles = new SecretFiles({
      log: setup.log,
      clock: this.#clock,
      onChange: (secrets) => this.#live?.setSecrets(secrets),
    });
    this.#idleMemory = new IdleMemory(
      this.#clock,
      processMemory(() => this.pool.collect()),
    );
    this.state = new ServerState(this.#clock.now());
    this.registry = new StatRegistry(this.#clock);
    this.#accessLog = new AccessLogDrain(this.#clock, {
      onFailure: (path, reason) => setup.log.error({ path, reason }, 'access log cannot be written'),
    });
    this.quitAsked = new Promise((resolve) => {
      this.#quit = resolve;
    });
    this.pool = new WorkerPool({
      concurrency: setup.concurrency,
      log: setup.log,
      drainMs: setup.drainMs,
      clock: this.#clock,
      onLogPressure: () => this.#accessLog.drain(),
      onCrash: ({ slots }) => this.registry.clearGauges(slots),
      onMemory: ({ slots, ring }) => {
        this.registry.attachWorker(slots);
        this.#accessLog.attach(ring);
      },
    });
    this.registry.addSource(() => this.pool.grpcStats());
    this.registry.addHistograms(() => this.pool.grpcTimes());
    this.#workers = this.pool.start();
    // Looked at in serve(); until then a failure must not end the process without a word.
    this.#workers.catch(() => undefined);
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
    const { dynamic } = bootstrap;
    this.#identity = identity;
    await this.#workers;
    this.#dns = new DnsClusters({
      clock: this.#clock,
      log: this.#setup.log,
      onResolved: (cluster, endpoints) => this.#live?.setResolved(cluster, endpoints),
    });
    const live = new LiveConfig({
      env: {
        stats: this.registry,
        limitCell: this.limitCell,
        readFile: (path) => fs.readFileSync(path),
        watchSecret: (file) => this.secretFiles.watch(file),
        hasIdentity: identity !== null,
        ...bootstrap.own,
        staticSecrets: new Set(bootstrap.secrets.map((s) => s.name)),
        runtime: bootstrap.runtime,
      },
      clock: this.#clock,
      cds: dynamic.cds,
      lds: dynamic.lds,
      ownClusters: new Set(dynamic.adsCluster === null ? [] : [dynamic.adsCluster]),
      publish: (update) => void this.#publish(update),
      onRuntime: () => this.#recompile(bootstrap),
      onChange: () => this.#onChange(),
    });
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

  #watchRuntime(bootstrap: CompiledBootstrap): void {
    const { runtime } = bootstrap;
    if (runtime.trees.length === 0) return;
    const { log } = this.#setup;
    const onChange = (): void => this.#recompile(bootstrap);
    this.#runtimeTrees = new RuntimeTrees({ runtime, log, clock: this.#clock, onChange });
  }

  /** The bootstrap's listeners are open. @throws UserError when one is not */
  async opened(): Promise<void> {
    while (this.#applying > 0) await new Promise((resolve) => this.#clock.after(1, () => resolve(undefined)));
    const [first] = this.#startErrors;
    if (first !== undefined) throw new UserError('LISTEN', this.#startErrors.join('\n'));
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
    this.#dns?.stop();
    void this.#dnsProxies?.then((proxies) => proxies.stop());
    this.#identity?.stop();
    await this.#workers.catch(() => undefined);
    await this.pool.stop();
    await this.#accessLog.close();
    await Promise.all(this.#admin.map((server) => server.close()));
  }

  async #publish(update: ConfigUpdate): Promise<void> {
    this.#idleMemory.touched();
    this.#applying++;
    try {
      const errors = await this.pool.update(update);
      if (this.state.phase !== 'LIVE') this.#startErrors.push(...errors);
      for (const reason of errors) this.#setup.log.error({ reason }, 'a worker could not apply all of an update');
    } catch (error) {
      this.#setup.log.error({ reason: messageOf(error) }, 'workers did not take an update');
    } finally {
      this.#applying--;
      this.#onChange();
    }
  }

  #onChange(): void {
    const live = this.#live;
    if (live === null) return;
    this.#serveDns(live.resources.dnsListeners);
    if (live.isInitialised && this.#applying === 0 && this.#startErrors.length === 0) this.state.opened();
    if (this.#applying === 0) {
      this.registry.retain(blocksInUse(live.resources));
      this.#limitCells.retain(limitCellsInUse(live.resources));
    }
    const names = new Map<string, DnsSpec>();
    for (const [name, slot] of live.resources.clusters) {
      const source = slot.newest?.compiled.source;
      if (source?.kind === 'dns' && !live.resources.isOwn(name)) names.set(name, source.dns);
    }
    this.#dns?.sync(names);
  }

  /** Loaded where there is something to serve. What is being opened counts as a change that is being applied. */
  #serveDns(listeners: readonly DnsListenerSpec[]): void {
    const before = this.#dnsListeners;
    if (listeners.length === before.length && listeners.every((spec, i) => spec === before[i])) return;
    this.#dnsListeners = listeners;
    this.#dnsProxies ??= this.#loadDnsProxies();
    this.#applying++;
    void this.#dnsProxies
      .then((proxies) => (this.state.isStopping ? undefined : proxies.sync(listeners)))
      .catch((error) => this.#setup.log.error({ reason: messageOf(error) }, 'DNS listeners are not served'))
      .finally(() => {
        this.#applying--;
        this.#onChange();
      });
  }

  async #loadDnsProxies(): Promise<DnsProxies> {
    const { DnsProxies: Proxies } = await import('../dns/dns-proxies.ts');
    const proxies = new Proxies({
      clock: this.#clock,
      log: this.#setup.log,
      readResolvConf: () => readText(resolvConf),
    });
    this.registry.addSource(() => proxies.stats());
    return proxies;
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

const resolvConf = '/etc/resolv.conf';

/** '' when there is no such file. */
function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The node of the bootstrap, with who we are in place of what it says about that. */
function ownNode(node: Node | undefined): Node {
  const version = agentVersion.split(' ')[1] ?? '';
  const self: Partial<Node> = {
    userAgentName: 'chainmail-agent',
    userAgentVersionType: { case: 'userAgentVersion', value: version },
    // The server must not wait for an Envoy's features.
    clientFeatures: [clientFeatures.http2],
  };
  const given: Partial<Node> = node ?? { $typeName: 'envoy.config.core.v3.Node' };
  return { ...given, ...self } as Node;
}
