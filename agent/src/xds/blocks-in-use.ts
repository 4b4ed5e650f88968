/** First slots of all statistics blocks that the configuration uses, active or warming: the others may be freed. */
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import type { FilterChainSpec, ListenerSpec, TcpProxySpec } from '../model/listener.ts';
import type { LiveConfig } from './live-config.ts';

export function blocksInUse(live: LiveConfig): ReadonlySet<number> {
  const bases = new Set<number>();
  for (const { active, warming } of live.clusters.values()) {
    for (const entry of [active, warming]) if (entry !== null) bases.add(entry.compiled.spec.stats);
  }
  for (const { active, warming } of live.listeners.values()) {
    for (const entry of [active, warming]) if (entry !== null) addListener(bases, entry.compiled.spec);
  }
  return bases;
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

function addChain(bases: Set<number>, { rbac, terminal }: FilterChainSpec): void {
  for (const filter of rbac) bases.add(filter.stats);
  addTerminal(bases, terminal);
}

function addTerminal(bases: Set<number>, terminal: TcpProxySpec | HttpConnectionManagerSpec): void {
  bases.add(terminal.stats);
  if (terminal.kind === 'tcp_proxy') return;
  if (terminal.http2Stats !== undefined) bases.add(terminal.http2Stats);
  for (const filter of terminal.filters) if (filter.kind === 'rbac') bases.add(filter.stats);
}
