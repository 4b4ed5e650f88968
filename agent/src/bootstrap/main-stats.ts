/** Statistics that the main thread itself keeps, under Envoy's names where it has them. */
import type { RuntimeValues } from '../config/runtime.ts';
import type { MainStat } from '../stats/registry.ts';
import type { AdsStats } from '../xds/ads-stats.ts';
import type { LiveConfig } from '../xds/live-config.ts';
import type { ServerState } from './server-state.ts';

export interface IdentityFigures {
  readonly notAfterMs: number | null;
  readonly renewals: number;
  readonly failures: number;
  readonly bundleSequence: number;
}

export interface MainStatSources {
  readonly state: ServerState;
  readonly live: LiveConfig;
  readonly runtime: RuntimeValues;
  readonly concurrency: number;
  readonly nowMs: () => number;
  readonly activeConnections: () => number;
  readonly ads: () => AdsStats | null;
  readonly identity: () => IdentityFigures | null;
  readonly logDropped: () => number;
}

/** Envoy's value where no certificate is loaded. */
const noCertificateDays = 2 ** 32 - 1;
const dayMs = 86_400_000;

export function* mainStats(sources: MainStatSources): Iterable<MainStat> {
  const { state, live, nowMs } = sources;
  const gauge = (name: string, value: number): MainStat => ({ name, kind: 'gauge', value });
  const memory = process.memoryUsage();
  const identity = sources.identity();
  const notAfterMs = identity?.notAfterMs ?? null;
  yield gauge('server.live', state.phase === 'DRAINING' ? 0 : 1);
  yield gauge('server.state', state.phaseNumber);
  yield gauge('server.uptime', Math.floor((nowMs() - state.startedMs) / 1000));
  yield gauge('server.concurrency', sources.concurrency);
  yield gauge('server.total_connections', sources.activeConnections());
  yield gauge('server.memory_allocated', memory.heapUsed + memory.external);
  yield gauge('server.memory_physical_size', memory.rss);
  yield gauge(
    'server.days_until_first_cert_expiring',
    notAfterMs === null ? noCertificateDays : Math.max(0, Math.floor((notAfterMs - nowMs()) / dayMs)),
  );
  yield gauge('cluster_manager.active_clusters', live.held.clusters.size);
  yield gauge('cluster_manager.warming_clusters', live.resources.warming.clusters);
  yield gauge('listener_manager.total_listeners_active', live.held.listeners.size + live.resources.dnsListeners.length);
  yield gauge('listener_manager.total_listeners_warming', live.resources.warming.listeners);
  const { runtime } = sources;
  yield gauge('runtime.num_keys', runtime.keys().size);
  yield gauge('runtime.num_layers', runtime.layerNames.length);
  yield gauge('runtime.admin_overrides_active', runtime.adminOverrides > 0 ? 1 : 0);
  yield { name: 'runtime.load_success', kind: 'counter', value: runtime.loads };
  yield { name: 'runtime.load_error', kind: 'counter', value: runtime.failedLoads };
  yield { name: 'access_logs.main_dropped', kind: 'counter', value: sources.logDropped() };
  yield* sources.ads()?.values() ?? [];
  if (identity === null) return;
  yield gauge('identity.not_after_seconds', notAfterMs === null ? 0 : Math.floor(notAfterMs / 1000));
  yield gauge('identity.bundle_sequence', identity.bundleSequence);
  yield { name: 'identity.renewals', kind: 'counter', value: identity.renewals };
  yield { name: 'identity.renewal_failures', kind: 'counter', value: identity.failures };
}
