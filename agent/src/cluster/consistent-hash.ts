/**
 * What ring hash and Maglev share: the text a host is placed by, its share of the whole, and how a request without a
 * hash, or one that has to try another host, finds its place.
 */
import type { ClusterHost } from './host.ts';

export interface ConsistentHashOptions {
  /** Place hosts by their names instead of their addresses. */
  readonly byHostname: boolean;
  /** Told when the ring or table was made anew. */
  readonly onBuilt?: (sizes: HashSizes) => void;
}

/** Entries of a ring or table, and the fewest and most that a host has. */
export interface HashSizes {
  readonly size: number;
  readonly min: number;
  readonly max: number;
}

/** owners: index of its host for each entry. */
export function sizesOf(owners: Uint32Array, hosts: number): HashSizes {
  if (hosts === 0) return { size: 0, min: 0, max: 0 };
  const counts = new Uint32Array(hosts);
  for (const owner of owners) counts[owner] = (counts[owner] ?? 0) + 1;
  counts.sort();
  return { size: owners.length, min: counts[0] ?? 0, max: counts.at(-1) ?? 0 };
}

/** The endpoint's own `hash_key` goes before anything else. */
export function placeOf(host: ClusterHost, { byHostname }: ConsistentHashOptions): string {
  const { hashKey, hostname } = host.endpoint;
  if (hashKey) return hashKey;
  return byHostname && hostname !== '' ? hostname : host.label;
}

/** Shares that add up to 1. */
export function sharesOf(hosts: readonly ClusterHost[]): readonly number[] {
  const total = hosts.reduce((sum, host) => sum + host.weight, 0);
  return hosts.map((host) => host.weight / total);
}

/** A place for a request that brings no hash. random is [0, 1). */
export function anyPlace(random: () => number): bigint {
  const word = (): bigint => BigInt(Math.floor(random() * 0x1_0000_0000));
  return (word() << 32n) | word();
}
