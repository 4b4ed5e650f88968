/** Sizes and keys of ring hash and Maglev, as the cluster's own fields or as load-balancing extensions. */
import type {
  Cluster_CommonLbConfig_ConsistentHashingLbConfig,
  Cluster_MaglevLbConfig,
  Cluster_RingHashLbConfig,
} from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { ConsistentHashingLbConfig } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/common/v3/common';
import type { Maglev } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/maglev/v3/maglev';
import type { RingHash } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash';
import type { HashingSpec } from '../model/cluster.ts';
import type { MessageReader } from './message-reader.ts';

export const defaultHashing: HashingSpec = {
  minRingSize: 1024,
  maxRingSize: 8 * 1024 * 1024,
  tableSize: 65_537,
  byHostname: false,
};

const hashFunctions = { XX_HASH: 'xx', DEFAULT_HASH: 'xx', MURMUR_HASH_2: 'murmur' } as const;

/** Both messages have these three fields; only the default of the extension's hash function has another name. */
export function readRing(level: MessageReader<Cluster_RingHashLbConfig> | MessageReader<RingHash>): HashingSpec {
  const r = level as MessageReader<Cluster_RingHashLbConfig>;
  const ringHash = r.oneOf('hashFunction', hashFunctions);
  const minRingSize = Number(r.take('minimumRingSize') ?? defaultHashing.minRingSize);
  const maxRingSize = Number(r.take('maximumRingSize') ?? defaultHashing.maxRingSize);
  if (minRingSize > maxRingSize) {
    throw r.invalid('', `minimum_ring_size (${minRingSize}) > maximum_ring_size (${maxRingSize})`);
  }
  return { ...defaultHashing, minRingSize, maxRingSize, ringHash };
}

export function readMaglev(level: MessageReader<Cluster_MaglevLbConfig> | MessageReader<Maglev>): HashingSpec {
  const r = level as MessageReader<Cluster_MaglevLbConfig>;
  const tableSize = Number(r.take('tableSize') ?? defaultHashing.tableSize);
  if (!isPrime(tableSize)) throw r.invalid('tableSize', 'The table size of maglev must be prime number');
  return { ...defaultHashing, tableSize };
}

export type CommonHashing = Pick<HashingSpec, 'byHostname' | 'balanceFactor'>;

/** The cluster's own message and the extensions' have the same fields. */
export function readCommonHashing(
  level: MessageReader<ConsistentHashingLbConfig> | MessageReader<Cluster_CommonLbConfig_ConsistentHashingLbConfig>,
): CommonHashing {
  const r = level as MessageReader<ConsistentHashingLbConfig>;
  return { byHostname: r.take('useHostnameForHashing'), balanceFactor: r.take('hashBalanceFactor') ?? 0 };
}

/** Before there was a message for both, the ring had these as fields of its own. */
export function readRingCommon(r: MessageReader<RingHash>): CommonHashing {
  const own = { byHostname: r.take('useHostnameForHashing'), balanceFactor: r.take('hashBalanceFactor') ?? 0 };
  return r.inside('consistentHashingLbConfig', readCommonHashing) ?? own;
}

function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}
