/**
 * What an installation decides about its agents: typed, with a default for everything. Unknown and malformed fields
 * are refused by path when the file is read, so a pod is never made from a half-understood setting.
 */

import { parseQuantity } from '@chainmail/kube';
import { defaultTrustDomain, ports, system, UserError } from '@chainmail/runtime';
import { parse } from 'yaml';

export type AgentLogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';
export const agentLogLevels: readonly AgentLogLevel[] = ['trace', 'debug', 'info', 'warn', 'error'];

export interface CpuAndMemory {
  readonly cpu: string;
  readonly memory: string;
}

export interface AgentResources {
  readonly requests: CpuAndMemory;
  readonly limits: CpuAndMemory;
}

export interface AgentValues {
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly trustDomain: string;
  /** host:port */
  readonly controlAddress: string;
  /** host:port */
  readonly caAddress: string;
  readonly systemNamespace: string;
  /**
   * false where Kubernetes is older than 1.29 and has no native sidecars: the agent is then the first container, the
   * user's init containers run before interception, and Jobs do not end by themselves.
   */
  readonly nativeSidecar: boolean;
  readonly resources: AgentResources;
  /** Wanted lifetime of the agent's certificate; 0 leaves it to the CA. */
  readonly certificateTtlSeconds: number;
  /** Lifetime of the projected token; Kubernetes refuses less than 600. */
  readonly tokenTtlSeconds: number;
  /** Worker threads of an agent; 0 lets the agent decide by the CPUs it may use. */
  readonly concurrency: number;
  readonly logLevel: AgentLogLevel;
}

export const defaultValues: AgentValues = {
  image: 'chainmail.dev/agent:0.1.0',
  imagePullPolicy: 'IfNotPresent',
  trustDomain: defaultTrustDomain,
  controlAddress: `${system.controlServiceAccount}.${system.namespace}.svc:${ports.control}`,
  caAddress: `${system.caServiceAccount}.${system.namespace}.svc:${ports.ca}`,
  systemNamespace: system.namespace,
  nativeSidecar: true,
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } },
  certificateTtlSeconds: 0,
  tokenTtlSeconds: 3600,
  concurrency: 0,
  logLevel: 'info',
};

type Fields = Readonly<Record<string, unknown>>;
type Read<T> = (value: unknown, at: string, fallback: T) => T;

/** Values from the text of a YAML or JSON file; an empty one is all defaults. @throws UserError VALUES_INVALID */
export function parseValues(text: string): AgentValues {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new UserError('VALUES_INVALID', `values: ${cause instanceof Error ? cause.message : 'not YAML'}`, { cause });
  }
  return agentValues(value ?? {});
}

/** @throws UserError VALUES_INVALID, naming the path */
function agentValues(value: unknown): AgentValues {
  const o = fields(value, 'values', Object.keys(defaultValues));
  const read = <K extends keyof AgentValues>(key: K, by: Read<AgentValues[K]>): AgentValues[K] =>
    o[key] === undefined || o[key] === null ? defaultValues[key] : by(o[key], key, defaultValues[key]);
  return {
    image: read('image', matching(/^\S+$/, 'an image reference')),
    imagePullPolicy: read('imagePullPolicy', oneOf(['Always', 'IfNotPresent', 'Never'])),
    trustDomain: read('trustDomain', matching(/^[a-z0-9._-]{1,255}$/, 'a trust domain of a-z, 0-9, dot, - and _')),
    controlAddress: read('controlAddress', address),
    caAddress: read('caAddress', address),
    systemNamespace: read('systemNamespace', matching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a namespace')),
    nativeSidecar: read('nativeSidecar', bool),
    resources: read('resources', resources),
    certificateTtlSeconds: read('certificateTtlSeconds', integer(0, 90 * 24 * 3600)),
    tokenTtlSeconds: read('tokenTtlSeconds', integer(600, 2 ** 32)),
    concurrency: read('concurrency', integer(0, 256)),
    logLevel: read('logLevel', oneOf(agentLogLevels)),
  };
}

function invalid(at: string, what: string): UserError {
  return new UserError('VALUES_INVALID', `${at}: ${what}`);
}

function fields(value: unknown, at: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(at, 'must be an object');
  const unknown = Object.keys(value).find((k) => !known.includes(k));
  if (unknown === undefined) return value as Fields;
  const path = at === 'values' ? unknown : `${at}.${unknown}`;
  throw invalid(path, `unknown field; known are ${known.join(', ')}`);
}

function matching(pattern: RegExp, what: string): Read<string> {
  return (value, at) => {
    if (typeof value !== 'string' || !pattern.test(value)) throw invalid(at, `must be ${what}`);
    return value;
  };
}

function bool(value: unknown, at: string): boolean {
  if (typeof value !== 'boolean') throw invalid(at, 'must be true or false');
  return value;
}

function oneOf<T extends string>(all: readonly T[]): Read<T> {
  return (value, at) => {
    const found = all.find((a) => a === value);
    if (found === undefined) throw invalid(at, `must be one of ${all.join(', ')}`);
    return found;
  };
}

function integer(min: number, max: number): Read<number> {
  return (value, at) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw invalid(at, `must be a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

function address(value: unknown, at: string): string {
  const match = typeof value === 'string' ? /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(value) : null;
  const port = Number(match?.[1]);
  if (typeof value !== 'string' || !(port >= 1 && port <= 65535)) throw invalid(at, 'must be host:port');
  return value;
}

function resources(value: unknown, at: string, fallback: AgentResources): AgentResources {
  const o = fields(value, at, ['requests', 'limits']);
  const read = (key: 'requests' | 'limits'): CpuAndMemory =>
    o[key] === undefined ? fallback[key] : cpuAndMemory(o[key], `${at}.${key}`, fallback[key]);
  const result = { requests: read('requests'), limits: read('limits') };
  for (const name of ['cpu', 'memory'] as const) {
    if ((parseQuantity(result.requests[name]) ?? 0n) > (parseQuantity(result.limits[name]) ?? 0n)) {
      throw invalid(`${at}.requests.${name}`, `${result.requests[name]} is above the limit ${result.limits[name]}`);
    }
  }
  return result;
}

function cpuAndMemory(value: unknown, at: string, fallback: CpuAndMemory): CpuAndMemory {
  const o = fields(value, at, ['cpu', 'memory']);
  const read = (key: 'cpu' | 'memory'): string => {
    const v = o[key] ?? fallback[key];
    if ((typeof v !== 'string' && typeof v !== 'number') || !parseQuantity(v)) {
      throw invalid(`${at}.${key}`, 'must be a quantity above zero, like 100m or 64Mi');
    }
    return String(v);
  };
  return { cpu: read('cpu'), memory: read('memory') };
}
