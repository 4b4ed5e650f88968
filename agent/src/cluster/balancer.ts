/** The choice of one host among equals. A new balancer is one file, one line here, and one line in its contract suite. */
import type { ClusterSpec, HashingSpec } from '../model/cluster.ts';
import { BoundedLoad } from './bounded-load.ts';
import type { HashSizes } from './consistent-hash.ts';
import type { ClusterHost } from './host.ts';
import { LeastRequest } from './least-request.ts';
import { Maglev } from './maglev.ts';
import { murmurHash2 } from './murmur-hash.ts';
import { RandomChoice } from './random-choice.ts';
import { RingHash } from './ring-hash.ts';
import { RoundRobin } from './round-robin.ts';
import type { SlowStart } from './slow-start.ts';
import { xxHash64 } from './xx-hash.ts';

export interface Balancer {
  /** A new list to choose from; never empty when pick is called. */
  setHosts(hosts: readonly ClusterHost[]): void;
  pick(choice: Choice): ClusterHost | undefined;
}

/** What a request brings to the choice; only consistent hashing looks at it. */
export interface Choice {
  readonly hash: bigint | null;
  /** 0 for the first choice, more when an earlier one was not wanted. */
  readonly attempt: number;
}

export const anyChoice: Choice = { hash: null, attempt: 0 };

export interface BalancerOptions {
  readonly lb: ClusterSpec['lb'];
  /** least_request: how many hosts are looked at. */
  readonly choices: number;
  /** least_request: how much requests in flight count with unequal weights; 1 unless given. */
  readonly activeBias?: number;
  /** ring_hash and maglev; absent is Envoy's defaults. */
  readonly hashing?: HashingSpec | null;
  /** ring_hash and maglev with bounded loads: requests in flight of the cluster. */
  readonly active?: () => number;
  /** ring_hash and maglev: told when the ring or table was made anew. */
  readonly onBuilt?: (sizes: HashSizes) => void;
  /** round_robin and least_request; absent or null is off. */
  readonly slowStart?: SlowStart | null;
  /** [0, 1) */
  readonly random: () => number;
}

const defaultHashing: HashingSpec = {
  minRingSize: 1024,
  maxRingSize: 8 * 1024 * 1024,
  tableSize: 65_537,
  byHostname: false,
};

export function createBalancer(options: BalancerOptions): Balancer {
  const { lb, choices, random, hashing, slowStart = null } = options;
  const told = options.onBuilt === undefined ? {} : { onBuilt: options.onBuilt };
  switch (lb) {
    case 'round_robin':
    case 'cluster_provided':
      return new RoundRobin(random, slowStart);
    case 'least_request':
      return new LeastRequest(random, choices, options.activeBias, slowStart);
    case 'random':
      return new RandomChoice(random);
    case 'ring_hash': {
      const { minRingSize: minSize, maxRingSize: maxSize, byHostname, ringHash } = hashing ?? defaultHashing;
      const place = ringHash === 'murmur' ? murmurHash2 : xxHash64;
      return bounded(new RingHash(random, { minSize, maxSize, byHostname, place, ...told }), options);
    }
    case 'maglev':
      return bounded(new Maglev(random, { ...(hashing ?? defaultHashing), ...told }), options);
  }
}

function bounded(balancer: Balancer, { hashing, active, random }: BalancerOptions): Balancer {
  const factor = hashing?.balanceFactor ?? 0;
  return factor === 0 || active === undefined ? balancer : new BoundedLoad(balancer, { factor, active, random });
}
