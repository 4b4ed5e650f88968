/** What an agent may call, as plain data: the Services in its sight, and pods by their addresses. */
import type { AppProtocol } from '../model/app-protocol.ts';
import type { Http2Use } from '../model/http2-use.ts';
import { trafficPolicyOf } from '../model/policy-index.ts';
import { identityOf, type MeshEndpoint, type MeshService, spiffeIdOf, type World } from '../model/world.ts';
import { directName, outboundName } from './resource-names.ts';
import { type TrafficSettings, trafficSettings } from './traffic-settings.ts';

/** A Service's port behind its cluster IPs. */
export interface VipChain {
  readonly name: string;
  readonly vips: readonly string[];
  readonly port: number;
  readonly protocol: AppProtocol;
}

/** Meshed pods of one service account, for calls that name a pod's address. */
export interface DirectChain {
  readonly cluster: string;
  readonly addresses: readonly string[];
}

/** What an agent is to get: from which namespaces, and how. */
export interface Sight {
  /** Undefined means all. */
  readonly uses: readonly string[] | undefined;
  readonly http2: Http2Use;
}

export interface OutboundModel {
  readonly vips: readonly VipChain[];
  readonly direct: readonly DirectChain[];
  /** Ports of all Services in sight: a filter chain on a port hides those without, so direct ones are repeated there. */
  readonly ports: readonly number[];
}

export interface ServiceCluster {
  readonly name: string;
  readonly protocol: AppProtocol;
  /** Requests to meshed endpoints ride HTTP/2 where the other end offers it. */
  readonly multiplexed: boolean;
  /** `namespace/service-account` and the SPIFFE ID it stands for, of every meshed pod behind the Service. */
  readonly identities: readonly { readonly identity: string; readonly spiffeId: string }[];
  readonly settings: TrafficSettings;
}

export interface DirectCluster {
  readonly name: string;
  readonly spiffeId: string;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The Services that agents of these namespaces' callers get; undefined means all. */
export function visibleServices(world: World, uses: readonly string[] | undefined): MeshService[] {
  const all = [...world.services.values()].filter((s) => uses === undefined || uses.includes(s.namespace));
  return all.sort((a, b) => byText(a.key, b.key));
}

/**
 * Addresses of meshed pods in sight, by `namespace/service-account`, sorted. An address that two pods claim, one of
 * which is on its way out, belongs to the one that is ready.
 */
function addressesByIdentity(world: World, uses: readonly string[] | undefined): [string, string[]][] {
  const pods = [...world.pods.values()].filter((p) => uses === undefined || uses.includes(p.namespace));
  const claims = pods.sort((a, b) => Number(b.ready) - Number(a.ready) || byText(a.key, b.key));
  const taken = new Set<string>();
  const groups = new Map<string, string[]>();
  for (const pod of claims) {
    const free = pod.ips.filter((ip) => !taken.has(ip));
    for (const ip of free) taken.add(ip);
    if (!pod.meshed || free.length === 0) continue;
    const id = identityOf(pod);
    groups.set(id, [...(groups.get(id) ?? []), ...free]);
  }
  return [...groups].map(([id, ips]): [string, string[]] => [id, ips.sort(byText)]).sort(([a], [b]) => byText(a, b));
}

/** The protocol as an agent with these abilities can handle it. */
export const handled = (protocol: AppProtocol, sight: Pick<Sight, 'http2'>): AppProtocol =>
  protocol === 'http2' && sight.http2 === 'none' ? 'tcp' : protocol;

/** Chains for every address and port once: should two Services claim one, the first by name has it. */
function vipChains(services: readonly MeshService[], sight: Sight): VipChain[] {
  const taken = new Set<string>();
  return services.flatMap((s) =>
    s.ports.flatMap((p) => {
      const vips = s.vips.filter((v) => !taken.has(`${v} ${p.port}`));
      for (const v of vips) taken.add(`${v} ${p.port}`);
      if (vips.length === 0) return [];
      return [
        { name: outboundName(s.namespace, s.name, p.port), vips, port: p.port, protocol: handled(p.protocol, sight) },
      ];
    }),
  );
}

export function outboundModel(world: World, sight: Sight): OutboundModel {
  const { uses } = sight;
  const vips = vipChains(visibleServices(world, uses), sight);
  const direct = addressesByIdentity(world, uses).map(([identity, addresses]) => ({
    cluster: directName(identity),
    addresses,
  }));
  return { vips, direct, ports: [...new Set(vips.map((v) => v.port))].sort((a, b) => a - b) };
}

export function serviceClusters(world: World, service: MeshService, sight: Pick<Sight, 'http2'>): ServiceCluster[] {
  const identities = [...new Set(service.pods.filter((p) => p.meshed).map(identityOf))].sort(byText);
  return service.ports.map((port) => ({
    name: outboundName(service.namespace, service.name, port.port),
    protocol: handled(port.protocol, sight),
    multiplexed: sight.http2 === 'mesh' && (port.protocol === 'http' || port.protocol === 'http2'),
    identities: identities.map((identity) => ({ identity, spiffeId: spiffeIdOf(world.trustDomain, identity) })),
    settings: trafficSettings(trafficPolicyOf(world.policies, service, port)),
  }));
}

export function directClusters(world: World, uses: readonly string[] | undefined): DirectCluster[] {
  return addressesByIdentity(world, uses).map(([identity]) => ({
    name: directName(identity),
    spiffeId: spiffeIdOf(world.trustDomain, identity),
  }));
}

export function endpointsFor(world: World, service: MeshService, port: number): readonly MeshEndpoint[] {
  return world.endpoints.get(service.key)?.get(port) ?? [];
}
