/** What a pod's own annotations change about its agent. A wrong one refuses the pod, by the annotation's name. */

import { parseQuantity } from '@chainmail/kube';
import { annotations, parseCidrList, parsePortList, reservedPorts, UserError } from '@chainmail/runtime';
import type { Pod, PodSpec, Resources } from './pod.ts';
import { type AgentLogLevel, type AgentValues, agentLogLevels } from './values.ts';

export interface Overrides {
  readonly concurrency: number;
  readonly logLevel: AgentLogLevel;
  /** Arguments of mesh-init behind `init`: what it leaves alone, and whether it captures DNS. */
  readonly exclusions: readonly string[];
  readonly dnsArgs: readonly string[];
  /** undefined: the agent shares what the pod as a whole has. */
  readonly resources: Resources | undefined;
  readonly notes: readonly string[];
}

/** @throws UserError, code ANNOTATION_INVALID or EXCLUSION_INVALID */
export function readOverrides(pod: Pod, values: AgentValues): Overrides {
  const all = pod.metadata?.annotations ?? {};
  const { resources, notes } = agentResources(pod.spec, all, values);
  return {
    concurrency: concurrency(all, values),
    logLevel: logLevel(all, values),
    exclusions: exclusions(all),
    dnsArgs: dnsArgs(all),
    resources,
    notes,
  };
}

type Annotations = Readonly<Record<string, string>>;

function invalid(name: string, value: string, what: string): UserError {
  return new UserError('ANNOTATION_INVALID', `annotation ${name}: '${value}' ${what}`);
}

function concurrency(all: Annotations, values: AgentValues): number {
  const value = all[annotations.concurrency];
  if (value === undefined) return values.concurrency;
  if (!/^\d{1,3}$/.test(value) || Number(value) > 256) {
    throw invalid(annotations.concurrency, value, 'is not a whole number from 0 to 256');
  }
  return Number(value);
}

function logLevel(all: Annotations, values: AgentValues): AgentLogLevel {
  const value = all[annotations.logLevel];
  if (value === undefined) return values.logLevel;
  const level = agentLogLevels.find((l) => l === value);
  if (level === undefined) throw invalid(annotations.logLevel, value, `is not one of ${agentLogLevels.join(', ')}`);
  return level;
}

function exclusions(all: Annotations): readonly string[] {
  const inbound = portArgs(all, annotations.excludeInboundPorts, '--exclude-inbound-ports');
  const own = inbound.ports.find((p) => p >= reservedPorts.first && p <= reservedPorts.last);
  if (own !== undefined) throw invalid(annotations.excludeInboundPorts, String(own), 'is a port of the agent itself');
  const outbound = portArgs(all, annotations.excludeOutboundPorts, '--exclude-outbound-ports');
  const cidrs = parseCidrList(
    all[annotations.excludeOutboundCidrs] ?? '',
    `annotation ${annotations.excludeOutboundCidrs}`,
  );
  const cidrArgs = cidrs.length === 0 ? [] : ['--exclude-outbound-cidrs', cidrs.map((c) => c.text).join(',')];
  return [...inbound.args, ...outbound.args, ...cidrArgs];
}

function dnsArgs(all: Annotations): readonly string[] {
  const value = all[annotations.captureDns] ?? 'disabled';
  if (value === 'disabled') return [];
  if (value === 'enabled') return ['--capture-dns'];
  throw invalid(annotations.captureDns, value, 'is neither enabled nor disabled');
}

function portArgs(all: Annotations, name: string, flag: string) {
  const list = parsePortList(all[name] ?? '', `annotation ${name}`);
  return { ports: list, args: list.length === 0 ? [] : [flag, list.join(',')] };
}

const resourceNames = ['cpu', 'memory'] as const;
type ResourceName = (typeof resourceNames)[number];

const resourceAnnotations = {
  cpu: { request: annotations.agentCpuRequest, limit: annotations.agentCpuLimit },
  memory: { request: annotations.agentMemoryRequest, limit: annotations.agentMemoryLimit },
} as const satisfies Readonly<Record<ResourceName, { readonly request: string; readonly limit: string }>>;

interface RequestAndLimit {
  readonly request: string;
  readonly limit: string;
}

function agentResources(
  spec: PodSpec,
  all: Annotations,
  values: AgentValues,
): { readonly resources: Resources | undefined; readonly notes: readonly string[] } {
  const chosen = { cpu: requestAndLimit('cpu', all, values), memory: requestAndLimit('memory', all, values) };
  if (spec.resources?.requests || spec.resources?.limits) {
    return { resources: undefined, notes: ['the pod has resources as a whole: the agent shares them'] };
  }
  const limits = { cpu: chosen.cpu.limit, memory: chosen.memory.limit };
  if (isGuaranteed(spec)) {
    return {
      resources: { requests: limits, limits },
      notes: ['kept Guaranteed: the agent requests what its limits are'],
    };
  }
  return { resources: { requests: { cpu: chosen.cpu.request, memory: chosen.memory.request }, limits }, notes: [] };
}

/** A request above its limit fails admission, so whichever of the two was not asked for moves. */
function requestAndLimit(name: ResourceName, all: Annotations, values: AgentValues): RequestAndLimit {
  const names = resourceAnnotations[name];
  const asked = { request: quantity(all, names.request), limit: quantity(all, names.limit) };
  const request = asked.request ?? values.resources.requests[name];
  const limit = asked.limit ?? values.resources.limits[name];
  if (!isAbove(request, limit)) return { request, limit };
  if (asked.request !== undefined && asked.limit !== undefined) {
    throw invalid(names.request, request, `is above the limit ${limit} of ${names.limit}`);
  }
  return asked.limit === undefined ? { request, limit: request } : { request: limit, limit };
}

function quantity(all: Annotations, name: string): string | undefined {
  const value = all[name];
  if (value === undefined || parseQuantity(value)) return value;
  throw invalid(name, value, 'is not a quantity above zero, like 100m or 64Mi');
}

function isAbove(a: string, b: string): boolean {
  return (parseQuantity(a) ?? 0n) > (parseQuantity(b) ?? 0n);
}

/** Every container has limits for cpu and memory, and requests that are absent or the same (Kubernetes' QoS rules). */
function isGuaranteed(spec: PodSpec): boolean {
  return [...spec.containers, ...(spec.initContainers ?? [])].every(({ resources }) =>
    resourceNames.every((name) => {
      const limit = parseQuantity(resources?.limits?.[name] ?? '');
      const request = parseQuantity(resources?.requests?.[name] ?? resources?.limits?.[name] ?? '');
      return limit !== undefined && limit > 0n && limit === request;
    }),
  );
}
