/** Envoy's tcp_proxy: takes over accepted connections and pairs each with one to a host of the chosen cluster. */
import type { TcpProxySpec } from '../model/listener.ts';
import type { ConnectionInfo, Stream } from '../net/stream.ts';
import { pickWeighted } from '../route/weighted.ts';
import { tcpStat } from '../stats/layout.ts';
import type { ChainContext } from '../worker/chain-context.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { tcpLogRecord } from './log-record.ts';
import { type PreparedUpstream, ServerFirstProbe } from './server-first.ts';
import { Tunnel } from './tunnel.ts';
import { openLeg, UpstreamLeg } from './upstream-leg.ts';

export interface TcpProxy {
  /** prepared: what a probe has found, see speculate. */
  accept(stream: Stream, prepared: PreparedUpstream | null): void;
  /** Dials for a client that has said nothing yet; null when there is nobody to dial. onSpoke may come once. */
  speculate(client: ConnectionInfo, onSpoke: () => void): ServerFirstProbe | null;
  /** A network RBAC filter has refused: one log line, then the end. */
  deny(stream: Stream, details: string): void;
}

/** clusters and hosts are looked up per connection, so the proxy itself never changes. */
export function createTcpProxy(spec: TcpProxySpec, runtime: WorkerRuntime, chain: ChainContext): TcpProxy {
  const countConnection = (): void => {
    const slot = spec.stats + tcpStat.at.downstream_cx_total;
    runtime.slots[slot] = (runtime.slots[slot] ?? 0) + 1;
  };
  return {
    accept(stream, prepared) {
      countConnection();
      new Tunnel(spec, runtime, chain, stream).start(prepared);
    },
    speculate(client, onSpoke) {
      const chosen = pickWeighted(spec.clusters, runtime.random);
      const cluster = chosen === null ? undefined : runtime.cluster(chosen.name);
      if (chosen === null || cluster === undefined) return null;
      const probe = new ServerFirstProbe(runtime, onSpoke);
      const leg = openLeg(cluster, chosen.subset ?? null, client, [], runtime, probe);
      if (!(leg instanceof UpstreamLeg)) return null;
      probe.watch(leg);
      return probe;
    },
    deny(stream, details) {
      countConnection();
      if (spec.accessLog.length > 0) {
        runtime.logAccess(spec.accessLog, tcpLogRecord({ stream, startTimeMs: runtime.clock.wallMs, details }));
      }
      stream.close();
    },
  };
}
