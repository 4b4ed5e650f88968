/** What the configuration uses of the workers' shared memory, active or warming: the rest may be freed. */
import type { HttpConnectionManagerSpec, RouteConfigSpec } from '../model/http.ts';
import type { ConnectionLimitSpec, FilterChainSpec, ListenerSpec, TcpProxySpec } from '../model/listener.ts';
import type { ResourceStore } from './resource-store.ts';

/** First slots of statistics blocks. */
export function blocksInUse(resources: ResourceStore): ReadonlySet<number> {
  const bases = new Set<number>();
  for (const { active, warming } of resources.clusters.values()) {
    for (const entry of [active, warming]) if (entry !== null) bases.add(entry.compiled.spec.stats);
  }
  for (const { active, warming } of resources.listeners.values()) {
    for (const entry of [active, warming]) {
      if (entry === null) continue;
      addListener(bases, entry.compiled.spec);
      for (const routes of entry.compiled.inlineRoutes) addRoutes(bases, routes);
    }
  }
  for (const { compiled } of resources.routes.values()) addRoutes(bases, compiled);
  return bases;
}

/** Cells in which connection limits count. */
export function limitCellsInUse(resources: ResourceStore): ReadonlySet<number> {
  const cells = new Set<number>();
  for (const { active, warming } of resources.listeners.values()) {
    for (const entry of [active, warming]) {
      for (const limit of entry === null ? [] : limitsOf(entry.compiled.spec)) cells.add(limit.cell);
    }
  }
  return cells;
}

function limitsOf({ chains, defaultChain }: ListenerSpec): readonly ConnectionLimitSpec[] {
  return [...chains, ...(defaultChain === null ? [] : [defaultChain])].flatMap((c) => c.limits ?? []);
}

function addRoutes(bases: Set<number>, { virtualHosts }: RouteConfigSpec): void {
  for (const { virtualClusters = [], routes } of virtualHosts) {
    for (const { stats } of virtualClusters) bases.add(stats);
    for (const { stats } of routes) if (stats !== undefined) bases.add(stats);
  }
}

function addListener(bases: Set<number>, listener: ListenerSpec): void {
  bases.add(listener.stats);
  const proxy = listener.proxyProtocol ?? null;
  if (proxy !== null) {
    bases.add(proxy.stats);
    bases.add(proxy.errorStats);
  }
  for (const chain of listener.chains) addChain(bases, chain);
  if (listener.defaultChain !== null) addChain(bases, listener.defaultChain);
}

function addChain(bases: Set<number>, { limits = [], rbac, terminal }: FilterChainSpec): void {
  for (const limit of limits) bases.add(limit.stats);
  for (const filter of rbac) bases.add(filter.stats);
  addTerminal(bases, terminal);
}

function addTerminal(bases: Set<number>, terminal: TcpProxySpec | HttpConnectionManagerSpec): void {
  bases.add(terminal.stats);
  if (terminal.kind === 'tcp_proxy') return;
  if (terminal.http2Stats !== undefined) bases.add(terminal.http2Stats);
  for (const filter of terminal.filters) if (filter.kind === 'rbac') bases.add(filter.stats);
}
