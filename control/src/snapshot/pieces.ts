/** World and pod in, resources out. What is the same for many agents is apart from what is a pod's own. */
import { xdsNames } from '@chainmail/runtime';
import {
  directCluster,
  inboundCluster,
  nowhereCluster,
  otherInboundCluster,
  passthroughCluster,
  serviceCluster,
} from '../emit/clusters.ts';
import { dnsListener } from '../emit/dns-listener.ts';
import { loadAssignment } from '../emit/endpoints.ts';
import { inboundListener } from '../emit/inbound-listener.ts';
import { outboundListener } from '../emit/outbound-listener.ts';
import { routeConfiguration } from '../emit/routes.ts';
import type { Http2Use } from '../model/http2-use.ts';
import type { MeshPod, MeshService, World } from '../model/world.ts';
import { dnsModel } from '../translate/dns-model.ts';
import { inboundModel } from '../translate/inbound-model.ts';
import {
  directClusters,
  endpointsFor,
  handled,
  outboundModel,
  type Sight,
  serviceClusters,
  visibleServices,
} from '../translate/outbound-model.ts';
import { inboundName, nowhere, otherInbound, outboundName, passthrough } from '../translate/resource-names.ts';
import { hasConsumerRoutes, type RouteModel, routeModel } from '../translate/route-model.ts';
import type { Piece } from './piece.ts';

/** What callers share: the namespaces they use, and their own namespace where it has routes of its own. */
export interface Audience extends Sight {
  readonly callerNamespace: string;
  readonly capturesDns: boolean;
}

/** Equal keys mean equal shared pieces, in one world. */
export function audienceKey(world: World, audience: Audience): string {
  const { uses, http2, callerNamespace, capturesDns } = audience;
  const special = world.routes.some((r) => r.metadata.namespace === callerNamespace);
  return JSON.stringify([uses ?? '*', http2, special ? callerNamespace : '', capturesDns]);
}

export const audienceOf = (pod: MeshPod, http2: Http2Use): Audience => ({
  uses: pod.uses,
  http2,
  callerNamespace: pod.namespace,
  capturesDns: pod.capturesDns,
});

function dnsPieces(world: World, { uses, capturesDns }: Audience): Piece[] {
  if (!capturesDns) return [];
  const model = dnsModel(world, uses);
  return [{ type: 'listener', name: xdsNames.dnsListener, model, make: () => dnsListener(model) }];
}

function clusterPieces(world: World, service: MeshService, sight: Sight): Piece[] {
  return serviceClusters(world, service, sight).map((model) => ({
    type: 'cluster',
    name: model.name,
    model,
    make: () => serviceCluster(model),
  }));
}

function endpointPieces(world: World, service: MeshService): Piece[] {
  return service.ports.map((p) => {
    const name = outboundName(service.namespace, service.name, p.port);
    const endpoints = endpointsFor(world, service, p.port);
    return { type: 'endpoints', name, model: endpoints, make: () => loadAssignment(name, endpoints) };
  });
}

function routeModels(world: World, service: MeshService, { http2, callerNamespace }: Audience): RouteModel[] {
  return service.ports
    .filter((p) => handled(p.protocol, { http2 }) !== 'tcp' && service.vips.length > 0)
    .map((port) => {
      const at = { world, service, port };
      const caller = hasConsumerRoutes(at, callerNamespace) ? callerNamespace : service.namespace;
      return routeModel(at, caller);
    });
}

const leadsNowhere = (model: RouteModel): boolean =>
  model.routes.some((r) => r.action.kind === 'forward' && r.action.backends.some((b) => b.cluster === nowhere));

/** The outbound side. */
export function sharedPieces(world: World, audience: Audience): Piece[] {
  const { uses } = audience;
  const services = visibleServices(world, uses);
  const direct = directClusters(world, uses);
  const outbound = outboundModel(world, audience);
  const routes = services.flatMap((s) => routeModels(world, s, audience));
  const fixed: Piece[] = [{ type: 'cluster', name: passthrough, model: null, make: () => passthroughCluster }];
  if (routes.some(leadsNowhere)) {
    fixed.push({ type: 'cluster', name: nowhere, model: null, make: () => nowhereCluster });
  }
  return [
    ...fixed,
    ...services.flatMap((s) => [...clusterPieces(world, s, audience), ...endpointPieces(world, s)]),
    ...direct.map((model): Piece => ({ type: 'cluster', name: model.name, model, make: () => directCluster(model) })),
    { type: 'listener', name: 'outbound', model: outbound, make: () => outboundListener(outbound) },
    ...dnsPieces(world, audience),
    ...routes.map(
      (model): Piece => ({ type: 'route', name: model.name, model, make: () => routeConfiguration(model) }),
    ),
  ];
}

/** The inbound side of one pod. */
export function ownPieces(world: World, pod: MeshPod, http2: Http2Use): Piece[] {
  const model = inboundModel(world, pod, http2);
  return [
    { type: 'listener', name: 'inbound', model, make: () => inboundListener(model) },
    ...model.ports.map(
      ({ port, protocol }): Piece => ({
        type: 'cluster',
        name: inboundName(port),
        model: { port, protocol },
        make: () => inboundCluster(port, protocol),
      }),
    ),
    { type: 'cluster', name: otherInbound, model: null, make: () => otherInboundCluster },
  ];
}
