/** The command line of chainmail-control. Anything unknown or malformed is refused with what to write instead. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { durationMs } from '@chainmail/kube';
import { defaultTrustDomain, type LogLevel, messageOf, ports, UserError } from '@chainmail/runtime';

export const usage = `chainmail-control: the control plane: objects in, configuration for agents out

  --source DIR            folder of YAML or JSON objects, watched; may be given several times
  --kubernetes            objects from the API server instead, as the pod's service account; status goes back there
  --kubeconfig FILE       with --kubernetes: the credentials of this file instead
  --kube-context NAME     a context of that file
  --listen HOST:PORT      xDS for agents, mutual TLS (default 0.0.0.0:${ports.control})
  --metrics-listen H:P    /ready, /metrics, /debug/agents (default 127.0.0.1:${ports.controlMetrics})
  --trust-domain TD       default ${defaultTrustDomain}
  --ca HOST:PORT          the CA's CSR service
  --token-file FILE       service-account token for the CA
  --trust-bundle FILE     PEM of the CA's trust anchors
  --status-dir DIR        where statuses are written, one YAML per object
  --certificate-ttl D     wanted lifetime of the own certificate, e.g. 1h (default: the CA's)
  --log-level LEVEL       trace, debug, info, warn, error, fatal or silent (default info)
  --help
`;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ControlOptions {
  /** Empty with kubernetes. */
  readonly sources: readonly string[];
  /** Where the API server is; undefined reads folders. */
  readonly kubernetes: { readonly kubeconfig: string | undefined; readonly context: string | undefined } | undefined;
  readonly listen: Address;
  readonly metricsListen: Address;
  readonly trustDomain: string;
  readonly ca: string;
  readonly tokenFile: string;
  readonly trustBundle: string;
  readonly statusDir: string | undefined;
  readonly certificateTtlSeconds: number | undefined;
  readonly logLevel: LogLevel;
}

const flags = {
  source: { type: 'string', multiple: true },
  kubernetes: { type: 'boolean', default: false },
  kubeconfig: { type: 'string' },
  'kube-context': { type: 'string' },
  listen: { type: 'string', default: `0.0.0.0:${ports.control}` },
  'metrics-listen': { type: 'string', default: `127.0.0.1:${ports.controlMetrics}` },
  'trust-domain': { type: 'string', default: defaultTrustDomain },
  ca: { type: 'string' },
  'token-file': { type: 'string' },
  'trust-bundle': { type: 'string' },
  'status-dir': { type: 'string' },
  'certificate-ttl': { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
} as const;

const misuse = (message: string): UserError =>
  new UserError('USAGE', message, { hint: 'see chainmail-control --help' });

/** `127.0.0.1:15012`, `[::1]:15012`, `localhost:0`. */
export function parseAddress(text: string, flag: string): Address {
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(m?.[3]);
  if (m === null || port > 65535) throw misuse(`--${flag}: ${text} is not HOST:PORT`);
  return { host: m[1] ?? m[2] ?? '', port };
}

function parseTtl(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^([0-9]{1,5}(h|m|s))+$/.test(text))
    throw misuse(`--certificate-ttl: ${text} is not a duration such as 30m or 24h`);
  return durationMs(text) / 1000;
}

const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

function parseLevel(text: string): LogLevel {
  const level = logLevels.find((l) => l === text);
  if (level === undefined) throw misuse(`--log-level: ${text} is none of ${logLevels.join(', ')}`);
  return level;
}

/** Objects come from folders or from an API server: of two texts of one object nobody could say which holds. */
function readKubernetes(v: ReturnType<typeof read>): ControlOptions['kubernetes'] {
  const { kubeconfig, 'kube-context': context } = v;
  if (!v.kubernetes) {
    if (kubeconfig !== undefined || context !== undefined) {
      throw misuse('--kubeconfig and --kube-context need --kubernetes');
    }
    return undefined;
  }
  if (v.source !== undefined) throw misuse('--source and --kubernetes exclude each other');
  if (v['status-dir'] !== undefined) throw misuse('--status-dir: with --kubernetes the status goes to the API server');
  if (context !== undefined && kubeconfig === undefined) throw misuse('--kube-context needs --kubeconfig');
  return { kubeconfig, context };
}

/** Statuses written into a watched folder would be read back as objects, forever. */
function checkStatusDir(dir: string | undefined, sources: readonly string[]): string | undefined {
  if (dir === undefined) return undefined;
  const inside = sources.find((s) => !path.relative(path.resolve(s), path.resolve(dir)).startsWith('..'));
  if (inside !== undefined) throw misuse(`--status-dir: ${dir} lies in the watched folder ${inside}; choose another`);
  return dir;
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw misuse(messageOf(error));
  }
}

/** @throws UserError USAGE. 'help' when help was asked for. */
export function parseOptions(args: readonly string[]): ControlOptions | 'help' {
  const v = read(args);
  if (v.help) return 'help';
  const need = (name: 'ca' | 'token-file' | 'trust-bundle'): string => {
    const value = v[name];
    if (value === undefined || value === '') throw misuse(`--${name} is missing`);
    return value;
  };
  const kubernetes = readKubernetes(v);
  const sources = v.source ?? [];
  if (sources.length === 0 && kubernetes === undefined) throw misuse('--source or --kubernetes is missing');
  const ca = need('ca');
  parseAddress(ca, 'ca');
  return {
    sources,
    kubernetes,
    listen: parseAddress(v.listen, 'listen'),
    metricsListen: parseAddress(v['metrics-listen'], 'metrics-listen'),
    trustDomain: v['trust-domain'],
    ca,
    tokenFile: need('token-file'),
    trustBundle: need('trust-bundle'),
    statusDir: checkStatusDir(v['status-dir'], sources),
    certificateTtlSeconds: parseTtl(v['certificate-ttl']),
    logLevel: parseLevel(v['log-level']),
  };
}
