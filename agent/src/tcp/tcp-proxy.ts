/** Envoy's tcp_proxy: takes over accepted connections and pairs each with one to a host of the chosen cluster. */
import type { TcpProxySpec } from '../model/listener.ts';
import type { Stream } from '../net/stream.ts';
import { tcpStat } from '../stats/layout.ts';
import type { ChainContext } from '../worker/chain-context.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { tcpLogRecord } from './log-record.ts';
import { Tunnel } from './tunnel.ts';

export interface TcpProxy {
  accept(stream: Stream): void;
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
    accept(stream) {
      countConnection();
      new Tunnel(spec, runtime, chain, stream).start();
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
