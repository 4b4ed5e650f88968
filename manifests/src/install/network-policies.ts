/** Who may reach the mesh's own programs, and whom they may call. Everything else in the namespace is refused. */
import { ports, system } from '@chainmail/runtime';
import { type InstallObject, metaLabels } from './object.ts';
import type { Program } from './programs.ts';
import type { InstallValues } from './values.ts';
import { podSelector } from './workload.ts';

const tcp = (port: number): object => ({ protocol: 'TCP', port });

function policy(name: string, part: Program['name'] | 'base', spec: object): InstallObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: system.namespace, labels: metaLabels(part) },
    spec,
  };
}

/** Agents call from every pod, API servers and kubelets from addresses nobody knows: held by port, not by source. */
function ofProgram(p: Program, values: InstallValues): InstallObject {
  const own = [...new Set([p.serving.port, p.metrics.port])].map(tcp);
  const dns = [{ protocol: 'UDP', port: 53 }, tcp(53)];
  const toCa = {
    to: [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': system.caServiceAccount } } }],
    ports: [tcp(ports.ca)],
  };
  return policy(p.fullName, p.name, {
    podSelector: { matchLabels: podSelector(p) },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ ports: own }],
    egress: [
      { ports: [...dns, ...values.networkPolicies.apiServerPorts.map(tcp)] },
      ...(p.name === 'ca' ? [] : [toCa]),
    ],
  });
}

export function networkPolicies(all: readonly Program[], values: InstallValues): readonly InstallObject[] {
  if (!values.networkPolicies.enabled) return [];
  const closed = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] };
  return [policy('chainmail-deny', 'base', closed), ...all.map((p) => ofProgram(p, values))];
}
