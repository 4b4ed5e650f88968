/** A real worker engine inside the test's own process, turned between turns of Node's loop: real sockets, real clusters. */

import type { ClusterSpec, EndpointSpec } from '../../model/cluster.ts';
import type { HttpConnectionManagerSpec, RouteConfigSpec } from '../../model/http.ts';
import { Loop } from '../../net/loop.ts';
import { clusterStat, httpStat, slotCount } from '../../stats/layout.ts';
import { Engine } from '../../worker/engine.ts';
import { copyRecord, type Logged } from './logged.ts';
import { clusterSpec, managerSpec, routeConfig, testStats } from './specs.ts';

export interface LoopbackSetup {
  readonly manager?: Partial<HttpConnectionManagerSpec>;
  readonly routes?: RouteConfigSpec;
  readonly cluster?: Partial<ClusterSpec>;
  readonly endpoints: readonly EndpointSpec[];
}

export class LoopbackAgent {
  readonly port: number;
  readonly logged: Logged[] = [];
  readonly events: string[] = [];
  readonly faults: string[] = [];
  readonly engine: Engine;
  readonly #loop = new Loop();
  readonly #slots = new Float64Array(slotCount);
  #running = true;

  constructor(setup: LoopbackSetup) {
    this.engine = new Engine(this.#loop, {
      slots: this.#slots,
      log: {
        write: (_sinks, record) => void this.logged.push(copyRecord(record)),
        writeLine: (path, text) => void this.events.push(`${path} ${text}`),
        publish: () => undefined,
      },
      random: Math.random,
      drainMs: 1000,
      report: (_level, msg, fields) => void this.faults.push(`${msg} ${JSON.stringify(fields)}`),
    });
    const manager = managerSpec(setup.manager);
    const errors = this.engine.apply({
      secrets: [],
      clusters: [clusterSpec(setup.cluster)],
      endpoints: [{ cluster: 'app', endpoints: setup.endpoints }],
      routes: [setup.routes ?? routeConfig()],
      listeners: [
        {
          name: 'in',
          statPrefix: 'in',
          stats: 100,
          addresses: [{ ip: '127.0.0.1', port: 0 }],
          direction: 'inbound',
          originalDst: false,
          tlsInspector: false,
          httpInspector: false,
          listenerFiltersTimeoutMs: 0,
          continueOnListenerFiltersTimeout: false,
          bufferLimitBytes: 1_048_576,
          backlog: 128,
          chains: [],
          defaultChain: {
            key: 'chain',
            name: 'chain',
            match: {
              destinationPort: null,
              prefixRanges: [],
              serverNames: [],
              transportProtocol: '',
              applicationProtocols: [],
              sourceType: 'any',
              sourcePrefixRanges: [],
              sourcePorts: [],
            },
            tls: null,
            transportSocketConnectTimeoutMs: 15_000,
            rbac: [],
            terminal: manager,
          },
        },
      ],
      removeClusters: [],
      removeRoutes: [],
      removeListeners: [],
    });
    if (errors.length > 0) throw new Error(errors.join('; '));
    this.port = this.engine.portsOf('in')[0] ?? 0;
    this.#turn();
  }

  #turn(): void {
    if (!this.#running) return;
    this.#loop.run(0);
    setImmediate(() => this.#turn());
  }

  http(name: keyof typeof httpStat.at): number {
    return this.#slots[testStats.http + httpStat.at[name]] ?? 0;
  }

  cluster(name: keyof typeof clusterStat.at): number {
    return this.#slots[testStats.cluster + clusterStat.at[name]] ?? 0;
  }

  close(): void {
    this.#running = false;
    this.engine.close();
    this.#loop.close();
  }
}
