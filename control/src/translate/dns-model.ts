/** The names an agent answers for: every Service in its sight by its full name, with the addresses it stands for. */
import type { MeshService, World } from '../model/world.ts';
import { visibleServices } from './outbound-model.ts';
import { clusterDomain } from './resource-names.ts';

export interface DnsName {
  readonly name: string;
  readonly addresses: readonly string[];
}

export interface DnsModel {
  readonly names: readonly DnsName[];
}

/** A Service without addresses is left to the cluster's resolver. */
export function dnsModel(world: World, uses: readonly string[] | undefined): DnsModel {
  const names = visibleServices(world, uses)
    .map((service) => ({
      name: `${service.name}.${service.namespace}.${clusterDomain}`,
      addresses: addressesOf(world, service),
    }))
    .filter(({ addresses }) => addresses.length > 0);
  return { names };
}

/** A headless Service stands for what is behind it and ready. */
function addressesOf(world: World, service: MeshService): readonly string[] {
  if (service.vips.length > 0) return service.vips;
  const endpoints = [...(world.endpoints.get(service.key)?.values() ?? [])].flat();
  return [...new Set(endpoints.map((e) => e.address))].sort();
}
