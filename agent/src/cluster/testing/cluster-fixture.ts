/** A worker's runtime for clusters alone, on a clock that tests turn by hand, and specs with the defaults of Envoy. */
import { ManualClock } from '@chainmail/runtime';
import type { ClusterSpec, EndpointSpec, OutlierSpec } from '../../model/cluster.ts';
import { defaultCluster, defaultEndpoint } from '../../model/testing/specs.ts';
import type { UpstreamTlsSpec } from '../../model/tls.ts';
import { clusterBlockSlots, clusterStat } from '../../stats/layout.ts';
import type { WorkerRuntime } from '../../worker/runtime.ts';
import type { Host, Pick, PickContext } from '../cluster.ts';
import { ClusterHost, hostKey } from '../host.ts';

const unused = (): never => {
  throw new Error('a cluster does not ask for this');
};

export interface Fixture {
  readonly runtime: WorkerRuntime;
  readonly clock: ManualClock;
  /** A number of the cluster's block by its name. */
  stat(name: keyof typeof clusterStat.at): number;
}

/** random: [0, 1), a fixed sequence unless given. */
export function fixture(random: () => number = sequence()): Fixture {
  const clock = new ManualClock();
  const slots = new Float64Array(clusterBlockSlots);
  const runtime: WorkerRuntime = {
    clock: {
      get nowMs() {
        return clock.now();
      },
      get wallMs() {
        return clock.now();
      },
    },
    timers: { after: (delayMs, call) => clock.after(delayMs, call) },
    random,
    slots,
    readBuffer: Buffer.alloc(0),
    cluster: unused,
    routes: unused,
    dial: unused,
    logAccess: unused,
    logEvent: unused,
    defer: (work) => work(),
    draining: () => false,
  };
  return { runtime, clock, stat: (name) => slots[clusterStat.at[name]] ?? 0 };
}

/** Numbers in [0, 1) that look random and are the same in every run (mulberry32). */
export function sequence(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const clusterSpec = (of: Partial<ClusterSpec> = {}): ClusterSpec =>
  defaultCluster({ name: 'c', stats: 0, type: 'eds', ...of });

export function outlierSpec(of: Partial<OutlierSpec> = {}): OutlierSpec {
  return {
    consecutive5xx: 5,
    enforcingConsecutive5xx: 100,
    consecutiveGatewayFailure: 5,
    enforcingConsecutiveGatewayFailure: 0,
    consecutiveLocalOriginFailure: 5,
    enforcingConsecutiveLocalOriginFailure: 100,
    splitExternalLocalOriginErrors: false,
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionPercent: 10,
    ...of,
  };
}

/** Endpoint number n, at 10.0.0.n:80. */
export const endpoint = (n: number, of: Partial<EndpointSpec> = {}): EndpointSpec =>
  defaultEndpoint({ ip: `10.0.0.${n}`, port: 80 }, of);

export function endpoints(count: number, of: Partial<EndpointSpec> = {}): readonly EndpointSpec[] {
  return Array.from({ length: count }, (_, i) => endpoint(i + 1, of));
}

export function hosts(specs: readonly EndpointSpec[]): readonly ClusterHost[] {
  return specs.map((spec) => new ClusterHost(hostKey(spec, null), spec, null));
}

export function tlsContext(key: string, of: Partial<UpstreamTlsSpec> = {}): UpstreamTlsSpec {
  return {
    key,
    minVersion: 'TLSv1_3',
    maxVersion: 'TLSv1_3',
    ciphers: '',
    groups: '',
    alpn: [],
    certificates: [],
    trustedCa: null,
    subjectAltNames: [],
    requireSvid: true,
    sni: '',
    autoSni: false,
    ...of,
  };
}

export const untried: PickContext = { tried: [], destination: null };

export function hostOf(pick: Pick): Host {
  if (pick.kind !== 'host') throw new Error(`expected a host, got ${pick.kind}`);
  return pick.host;
}

/** How often each of the things came, in the order of their first coming. */
export function tally(names: Iterable<string>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
