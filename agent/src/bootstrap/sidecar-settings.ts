/** What the injected container is told by its environment. Pure: environment in, settings or a clear refusal out. */
import { type AppProbes, agentEnv, parseAppProbes, podPaths, UserError } from '@chainmail/runtime';

export interface SidecarSettings {
  readonly podName: string;
  readonly namespace: string;
  readonly podUid: string;
  readonly podIps: readonly string[];
  readonly nodeName: string;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  readonly controlAddress: string;
  readonly caAddress: string;
  /** null takes the CA's default. */
  readonly certificateTtlSeconds: number | null;
  readonly concurrency: number;
  readonly logLevel: string;
  readonly drainSeconds: number;
  readonly appProbes: AppProbes;
  readonly proveInterception: boolean;
  /** Arguments of mesh-init: what its rules leave alone. */
  readonly exclusions: readonly string[];
  readonly tokenPath: string;
  readonly trustBundlePath: string;
  readonly adminSocket: string;
}

type Env = Readonly<Record<string, string | undefined>>;

const defaultDrainSeconds = 25;
const maxDrainSeconds = 86_400;
const maxConcurrency = 256;

/** @throws UserError SIDECAR_ENV naming the variable */
export function sidecarSettings(env: Env): SidecarSettings {
  const podIp = required(env, agentEnv.podIp);
  const podIps = (env[agentEnv.podIps] ?? '').split(',').filter((ip) => ip !== '');
  return {
    podName: required(env, agentEnv.podName),
    namespace: required(env, agentEnv.podNamespace),
    podUid: env[agentEnv.podUid] ?? '',
    podIps: podIps.length === 0 ? [podIp] : podIps,
    nodeName: env[agentEnv.nodeName] ?? '',
    serviceAccount: required(env, agentEnv.serviceAccount),
    trustDomain: required(env, agentEnv.trustDomain),
    controlAddress: address(env, agentEnv.controlAddress),
    caAddress: address(env, agentEnv.caAddress),
    certificateTtlSeconds: number(env, agentEnv.certificateTtl, 1, 366 * 86_400),
    concurrency: number(env, agentEnv.concurrency, 1, maxConcurrency) ?? 1,
    logLevel: env[agentEnv.logLevel] || 'info',
    drainSeconds: number(env, agentEnv.drainSeconds, 0, maxDrainSeconds) ?? defaultDrainSeconds,
    proveInterception: env[agentEnv.proveInterception] === 'true',
    exclusions: (env[agentEnv.exclusions] ?? '').split(' ').filter((a) => a !== ''),
    appProbes: parseAppProbes(env[agentEnv.appProbes] || '{}'),
    tokenPath: podPaths.token,
    trustBundlePath: podPaths.trustBundle,
    adminSocket: podPaths.adminSocket,
  };
}

function required(env: Env, name: string): string {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  throw new UserError('SIDECAR_ENV', `the environment variable ${name} is not set`, {
    hint: 'the injector sets it; outside a meshed pod use `chainmail-agent -c FILE`',
  });
}

function address(env: Env, name: string): string {
  const value = required(env, name);
  if (/^(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+):[0-9]{1,5}$/.test(value)) return value;
  throw new UserError('SIDECAR_ENV', `${name}: '${value}' is not host:port`);
}

/** null when absent or empty. */
function number(env: Env, name: string, min: number, max: number): number | null {
  const text = env[name];
  if (text === undefined || text === '') return null;
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UserError('SIDECAR_ENV', `${name}: '${text}' is not a whole number from ${min} to ${max}`);
}
