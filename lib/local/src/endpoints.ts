/** EndpointSlices from Services and Pods, one slice per Service and address family. Pure. */
import { type Family, familyOf } from './address-plan.ts';
import type { Container, Endpoint, EndpointSlice, NamedPod, Service, ServicePort } from './pod.ts';

const hasLabels = (pod: NamedPod, selector: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector).every(([k, v]) => pod.metadata.labels?.[k] === v);

export const isReady = (pod: NamedPod): boolean =>
  pod.status?.conditions.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;

const isTerminating = (pod: NamedPod): boolean => pod.metadata.deletionTimestamp !== undefined;

/** Pods a Service selects; none when it has no selector. */
function selectedPods(service: Service, pods: readonly NamedPod[]): NamedPod[] {
  const { selector } = service.spec;
  if (selector === undefined || Object.keys(selector).length === 0) return [];
  const finished = (p: NamedPod): boolean => p.status?.phase === 'Succeeded' || p.status?.phase === 'Failed';
  const inNamespace = pods.filter((p) => p.metadata.namespace === service.metadata.namespace);
  return inNamespace.filter((p) => !finished(p) && hasLabels(p, selector));
}

/** The number behind a port name in the pod's containers, native sidecars included. */
export function namedPort(containers: readonly Container[], name: string, protocol: string): number | undefined {
  for (const c of containers) {
    const hit = c.ports?.find((p) => p.name === name && (p.protocol ?? 'TCP') === protocol);
    if (hit !== undefined) return hit.containerPort;
  }
  return undefined;
}

export function targetPort(port: ServicePort, pod: NamedPod): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  return namedPort([...pod.spec.containers, ...(pod.spec.initContainers ?? [])], target, port.protocol ?? 'TCP');
}

function endpointOf(pod: NamedPod, family: Family, publishNotReady: boolean): Endpoint | undefined {
  const address = pod.status?.podIPs?.map((p) => p.ip).find((ip) => familyOf(ip) === family);
  if (address === undefined) return undefined;
  const { name, namespace, uid } = pod.metadata;
  const serving = isReady(pod);
  const terminating = isTerminating(pod);
  return {
    addresses: [address],
    conditions: { ready: publishNotReady || (serving && !terminating), serving, terminating },
    ...(pod.spec.hostname === undefined ? {} : { hostname: pod.spec.hostname }),
    nodeName: pod.spec.nodeName ?? '',
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}

/** The families in which a Service has addresses: what it says, otherwise IPv4 only, as Kubernetes does. */
export function serviceFamilies(service: Service): readonly Family[] {
  const { ipFamilies, ipFamilyPolicy } = service.spec;
  const first = ipFamilies?.[0] ?? 'IPv4';
  if (ipFamilies !== undefined && ipFamilies.length > 1) return ipFamilies;
  const dual = ipFamilyPolicy === 'PreferDualStack' || ipFamilyPolicy === 'RequireDualStack';
  return dual ? [first, first === 'IPv4' ? 'IPv6' : 'IPv4'] : [first];
}

/** A group of pods whose named target ports come to the same numbers: a slice has one set of ports. */
function portGroups(
  service: Service,
  pods: readonly NamedPod[],
): Map<string, { ports: EndpointSlice['ports']; pods: NamedPod[] }> {
  const groups = new Map<string, { ports: EndpointSlice['ports']; pods: NamedPod[] }>();
  for (const pod of pods) {
    const ports = (service.spec.ports ?? []).flatMap((p) => {
      const port = targetPort(p, pod);
      if (port === undefined) return [];
      const app = p.appProtocol === undefined ? {} : { appProtocol: p.appProtocol };
      return [{ name: p.name ?? '', port, protocol: p.protocol ?? 'TCP', ...app }];
    });
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, pods: [] };
    group.pods.push(pod);
    groups.set(key, group);
  }
  return groups;
}

function slicesOfFamily(service: Service, pods: readonly NamedPod[], family: Family): EndpointSlice[] {
  const { name = '', namespace = 'default' } = service.metadata;
  const publish = service.spec.publishNotReadyAddresses === true;
  const groups = [...portGroups(service, pods).values()];
  return groups.map((g, i) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${family.toLowerCase()}${i === 0 ? '' : `-${i}`}`,
      namespace,
      labels: { 'kubernetes.io/service-name': name, 'endpointslice.kubernetes.io/managed-by': 'meshctl-dev' },
    },
    addressType: family,
    ports: g.ports,
    endpoints: g.pods.flatMap((p) => endpointOf(p, family, publish) ?? []),
  }));
}

export function endpointSlices(service: Service, pods: readonly NamedPod[]): EndpointSlice[] {
  const selected = selectedPods(service, pods);
  return serviceFamilies(service).flatMap((f) => slicesOfFamily(service, selected, f));
}
