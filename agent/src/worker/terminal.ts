/** The one place that knows which terminal filters there are. */
import { createHttpConnectionManager } from '../http/connection-manager.ts';
import type { FilterChainSpec } from '../model/listener.ts';
import { createTcpProxy } from '../tcp/tcp-proxy.ts';
import type { Terminal } from './active-chain.ts';
import type { ChainContext } from './chain-context.ts';
import type { WorkerRuntime } from './runtime.ts';

export function createTerminal(
  spec: FilterChainSpec['terminal'],
  runtime: WorkerRuntime,
  chain: ChainContext,
): Terminal {
  switch (spec.kind) {
    case 'tcp_proxy':
      return createTcpProxy(spec, runtime, chain);
    case 'http_connection_manager':
      return createHttpConnectionManager(spec, runtime, chain);
  }
}
