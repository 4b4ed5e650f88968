/** Sizes and keys of ring hash and Maglev, as the cluster's own fields or as load-balancing extensions. */
import type {
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

/** Both messages have these three fields; only the default of the extension's hash function has another name. */
export function readRing(level: MessageReader<Cluster_RingHashLbConfig> | MessageReader<RingHash>): HashingSpec {
  const r = level as MessageReader<Cluster_RingHashLbConfig>;
  r.oneOf('hashFunction', { XX_HASH: null, DEFAULT_HASH: null });
  const minRingSize = Number(r.take('minimumRingSize') ?? defaultHashing.minRingSize);
  const maxRingSize = Number(r.take('maximumRingSize') ?? defaultHashing.maxRingSize);
  if (minRingSize > maxRingSize) {
    throw r.invalid('', `minimum_ring_size (${minRingSize}) > maximum_ring_size (${maxRingSize})`);
  }
  return { ...defaultHashing, minRingSize, maxRingSize };
}

export function readMaglev(level: MessageReader<Cluster_MaglevLbConfig> | MessageReader<Maglev>): HashingSpec {
  const r = level as MessageReader<Cluster_MaglevLbConfig>;
  const tableSize = Number(r.take('tableSize') ?? defaultHashing.tableSize);
  if (!isPrime(tableSize)) throw r.invalid('tableSize', 'The table size of maglev must be prime number');
  return { ...defaultHashing, tableSize };
}

/** Bounded loads are refused, being set and not taken. */
export function readByHostname(r: MessageReader<ConsistentHashingLbConfig>): boolean {
  return r.take('useHostnameForHashing');
}

function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}
