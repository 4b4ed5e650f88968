/** Pods as the mesh sees them: addresses, service account, TCP ports of the application, and whether an agent is in. */
import type { Namespace, Pod } from '@chainmail/kube';
import { annotations, containers, reservedPorts } from '@chainmail/runtime';
import { keyOf, type MeshPod, type PodPort } from './world.ts';

const isOwn = (name: string): boolean => name === containers.agent || name === containers.init;

function portsOf(pod: Pod): PodPort[] {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].filter((c) => !isOwn(c.name));
  return all
    .flatMap((c) => c.ports ?? [])
    .filter((p) => (p.protocol ?? 'TCP') === 'TCP')
    .filter((p) => p.containerPort < reservedPorts.first || p.containerPort > reservedPorts.last)
    .map((p) => ({ port: p.containerPort, name: p.name }))
    .sort((a, b) => a.port - b.port);
}

function isReady(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  const ready = pod.status?.conditions?.find((c) => c.type === 'Ready');
  return ready === undefined ? pod.status?.phase === 'Running' : ready.status === 'True';
}

function usesOf(pod: Pod, namespace: Namespace | undefined): readonly string[] | undefined {
  const text = pod.metadata.annotations?.[annotations.uses] ?? namespace?.metadata.annotations?.[annotations.uses];
  if (text === undefined || text.trim() === '*') return undefined;
  const named = text.split(',').map((n) => n.trim());
  return [...new Set([...named, pod.metadata.namespace])].filter((n) => n !== '').sort();
}

/** A pod that has ended gives nothing; one without an address yet is known by name only. */
export function meshPod(pod: Pod, namespace: Namespace | undefined): MeshPod | undefined {
  const phase = pod.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed') return undefined;
  const { namespace: ns, name } = pod.metadata;
  const listed = pod.status?.podIPs?.map((p) => p.ip) ?? [];
  const single = pod.status?.podIP;
  const agents = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const onHostNetwork = pod.spec.hostNetwork === true;
  return {
    key: keyOf(ns, name),
    namespace: ns,
    name,
    serviceAccount: pod.spec.serviceAccountName || 'default',
    ips: listed.length > 0 ? [...listed].sort() : single === undefined || single === '' ? [] : [single],
    labels: pod.metadata.labels ?? {},
    ports: portsOf(pod),
    meshed: !onHostNetwork && agents.some((c) => c.name === containers.agent),
    ready: isReady(pod),
    uses: usesOf(pod, namespace),
    capturesDns: pod.metadata.annotations?.[annotations.captureDns] === 'enabled',
  };
}
