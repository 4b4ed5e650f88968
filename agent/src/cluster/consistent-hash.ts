/**
 * What ring hash and Maglev share: the text a host is placed by, its share of the whole, and how a request without a
 * hash, or one that has to try another host, finds its place.
 */
import type { ClusterHost } from './host.ts';

export interface ConsistentHashOptions {
  /** Place hosts by their names instead of their addresses. */
  readonly byHostname: boolean;
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
