/** Services with their TCP ports and the pods behind them; the endpoints of each port come from slices or from pods. */
import type { EndpointSlice, Service } from '@chainmail/kube';
import { appProtocolOf } from './app-protocol.ts';
import {
  identityOf,
  keyOf,
  type MeshEndpoint,
  type MeshPod,
  type MeshService,
  type MeshServicePort,
  targetPortIn,
} from './world.ts';

const serviceNameLabel = 'kubernetes.io/service-name';

export interface Pods {
  readonly byKey: ReadonlyMap<string, MeshPod>;
  readonly byIp: ReadonlyMap<string, MeshPod>;
  readonly byNamespace: ReadonlyMap<string, readonly MeshPod[]>;
}

/** `namespace/name` of the Service -> its slices. */
export function slicesByService(slices: readonly EndpointSlice[]): Map<string, EndpointSlice[]> {
  const out = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const name = slice.metadata.labels?.[serviceNameLabel];
    if (name === undefined || slice.addressType === 'FQDN') continue;
    const key = keyOf(slice.metadata.namespace, name);
    const list = out.get(key);
    if (list === undefined) out.set(key, [slice]);
    else list.push(slice);
  }
  return out;
}

function portsOf(service: Service): MeshServicePort[] {
  return (service.spec.ports ?? [])
    .filter((p) => (p.protocol ?? 'TCP') === 'TCP')
    .map((p) => ({
      port: p.port,
      name: p.name === '' ? undefined : p.name,
      protocol: appProtocolOf({ appProtocol: p.appProtocol, name: p.name, number: p.port }),
      targetPort: p.targetPort === undefined || p.targetPort === 0 || p.targetPort === '' ? p.port : p.targetPort,
    }))
    .sort((a, b) => a.port - b.port);
}

function selects(selector: Readonly<Record<string, string>> | undefined, pod: MeshPod): boolean {
  if (selector === undefined) return false;
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([k, v]) => pod.labels[k] === v);
}

function podOf(endpoint: EndpointSlice['endpoints'][number], namespace: string, pods: Pods): MeshPod | undefined {
  const ref = endpoint.targetRef;
  const address = endpoint.addresses[0];
  if (ref?.kind === 'Pod' && ref.name !== undefined) {
    const pod = pods.byKey.get(keyOf(ref.namespace ?? namespace, ref.name));
    if (pod !== undefined && (pod.ips.length === 0 || pod.ips.includes(address ?? ''))) return pod;
  }
  return pods.byIp.get(address ?? '');
}

function podsBehind(service: Service, slices: readonly EndpointSlice[], pods: Pods): MeshPod[] {
  const { namespace } = service.metadata;
  const selected = (pods.byNamespace.get(namespace) ?? []).filter((p) => selects(service.spec.selector, p));
  const listed = slices.flatMap((s) => s.endpoints.flatMap((e) => podOf(e, namespace, pods) ?? []));
  return [...new Set([...selected, ...listed])].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Undefined for an ExternalName Service, which has no address of its own. */
export function meshService(service: Service, slices: readonly EndpointSlice[], pods: Pods): MeshService | undefined {
  if (service.spec.type === 'ExternalName') return undefined;
  const { namespace, name } = service.metadata;
  const addresses = service.spec.clusterIPs ?? (service.spec.clusterIP === undefined ? [] : [service.spec.clusterIP]);
  return {
    key: keyOf(namespace, name),
    namespace,
    name,
    labels: service.metadata.labels ?? {},
    vips: addresses.filter((a) => a !== 'None' && a !== '').sort(),
    ports: portsOf(service),
    selector: service.spec.selector,
    pods: podsBehind(service, slices, pods),
  };
}

const byAddress = (a: MeshEndpoint, b: MeshEndpoint): number =>
  a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1;

function fromSlices(
  slices: readonly EndpointSlice[],
  port: MeshServicePort,
  namespace: string,
  pods: Pods,
): MeshEndpoint[] {
  return slices.flatMap((slice) => {
    const match = (slice.ports ?? []).find(
      (p) => (p.name || undefined) === port.name && (p.protocol ?? 'TCP') === 'TCP',
    );
    const number = match?.port;
    if (number === undefined) return [];
    return slice.endpoints
      .filter((e) => e.conditions?.ready !== false)
      .map((e) => {
        const pod = podOf(e, namespace, pods);
        return {
          address: e.addresses[0] ?? '',
          port: number,
          identity: pod?.meshed === true ? identityOf(pod) : undefined,
        };
      });
  });
}

function fromPods(service: MeshService, port: MeshServicePort): MeshEndpoint[] {
  return service.pods.flatMap((pod) => {
    const number = targetPortIn(pod, port);
    const address = pod.ips[0];
    if (!pod.ready || number === undefined || address === undefined) return [];
    return [{ address, port: number, identity: pod.meshed ? identityOf(pod) : undefined }];
  });
}

/** Ready endpoints only, each address once: an endpoint that is not ready gets no new picks. */
export function endpointsOf(
  service: MeshService,
  slices: readonly EndpointSlice[],
  pods: Pods,
): Map<number, readonly MeshEndpoint[]> {
  return new Map(
    service.ports.map((port) => {
      const all = slices.length > 0 ? fromSlices(slices, port, service.namespace, pods) : fromPods(service, port);
      const unique = new Map(all.map((e) => [`${e.address} ${e.port}`, e]));
      return [port.port, [...unique.values()].sort(byAddress)];
    }),
  );
}
