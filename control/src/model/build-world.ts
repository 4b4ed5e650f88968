/** Objects in, World out: pure, and the same for the same objects in any order. */
import type {
  BackendTrafficPolicy,
  EndpointSlice,
  HttpRoute,
  KnownObject,
  MeshPolicy,
  Namespace,
  Pod,
  SecurityPolicy,
  Service,
} from '@chainmail/kube';
import { meshPod } from './pods.ts';
import { type BrokenPolicies, indexPolicies, noneBroken } from './policy-index.ts';
import { endpointsOf, meshService, type Pods, slicesByService } from './services.ts';
import { keyOf, type MeshPod, type MeshService, type World } from './world.ts';

interface Sorted {
  readonly namespaces: Map<string, Namespace>;
  readonly pods: Pod[];
  readonly services: Service[];
  readonly slices: EndpointSlice[];
  readonly mesh: MeshPolicy[];
  readonly security: SecurityPolicy[];
  readonly traffic: BackendTrafficPolicy[];
  readonly routes: HttpRoute[];
}

const nameOf = (o: KnownObject): string =>
  `${'namespace' in o.metadata ? o.metadata.namespace : ''}/${o.metadata.name}`;

function sortByKind(objects: readonly KnownObject[]): Sorted {
  const out: Sorted = {
    namespaces: new Map(),
    pods: [],
    services: [],
    slices: [],
    mesh: [],
    security: [],
    traffic: [],
    routes: [],
  };
  for (const o of [...objects].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    switch (o.kind) {
      case 'Namespace':
        out.namespaces.set(o.metadata.name, o);
        break;
      case 'Pod':
        out.pods.push(o);
        break;
      case 'Service':
        out.services.push(o);
        break;
      case 'EndpointSlice':
        out.slices.push(o);
        break;
      case 'MeshPolicy':
        out.mesh.push(o);
        break;
      case 'SecurityPolicy':
        out.security.push(o);
        break;
      case 'BackendTrafficPolicy':
        out.traffic.push(o);
        break;
      case 'HTTPRoute':
        out.routes.push(o);
        break;
      case 'ServiceAccount':
      case 'ConfigMap':
      case 'Deployment':
        break; // read by others, no part of the configuration
      default:
        o satisfies never;
    }
  }
  return out;
}

function indexPods(sorted: Sorted): Pods {
  const byKey = new Map<string, MeshPod>();
  const byIp = new Map<string, MeshPod>();
  const byNamespace = new Map<string, MeshPod[]>();
  for (const pod of sorted.pods) {
    const m = meshPod(pod, sorted.namespaces.get(pod.metadata.namespace));
    if (m === undefined) continue;
    byKey.set(m.key, m);
    const neighbours = byNamespace.get(m.namespace);
    if (neighbours === undefined) byNamespace.set(m.namespace, [m]);
    else neighbours.push(m);
    if (pod.spec.hostNetwork === true) continue;
    for (const ip of m.ips) if (byIp.get(ip)?.ready !== true) byIp.set(ip, m);
  }
  return { byKey, byIp, byNamespace };
}

/** @param broken policies that could not be read and never could: they deny what they cover. */
export function buildWorld(
  trustDomain: string,
  objects: readonly KnownObject[],
  broken: BrokenPolicies = noneBroken,
): World {
  const sorted = sortByKind(objects);
  const pods = indexPods(sorted);
  const slices = slicesByService(sorted.slices);
  const services = new Map<string, MeshService>();
  const endpoints: Map<string, ReturnType<typeof endpointsOf>> = new Map();
  const servicesOfPod = new Map<string, MeshService[]>();
  for (const s of sorted.services) {
    const own = slices.get(keyOf(s.metadata.namespace, s.metadata.name)) ?? [];
    const service = meshService(s, own, pods);
    if (service === undefined) continue;
    services.set(service.key, service);
    endpoints.set(service.key, endpointsOf(service, own, pods));
    for (const pod of service.pods) {
      const known = servicesOfPod.get(pod.key);
      if (known === undefined) servicesOfPod.set(pod.key, [service]);
      else known.push(service);
    }
  }
  const policies = indexPolicies(
    { mesh: sorted.mesh, security: sorted.security, traffic: sorted.traffic, broken },
    services,
  );
  return { trustDomain, services, pods: pods.byKey, endpoints, servicesOfPod, policies, routes: sorted.routes };
}
