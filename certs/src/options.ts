/** The command line of chainmail-ca. Invariant: an unknown flag or a value that cannot be right is refused. */
import { parseArgs } from 'node:util';
import { isTrustDomain } from '@chainmail/pki';
import { defaultTrustDomain, type LogLevel, messageOf, ports, UserError } from '@chainmail/runtime';
import { parseTtl, type TtlRules } from './ttl.ts';

/** Where the API server is; the pod's service account without a file. */
export interface KubernetesOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

export interface FolderOptions {
  readonly stateDir: string;
  readonly jwksPath: string;
  readonly issuer: string;
  readonly podsDir: string | undefined;
}

export interface ServeOptions {
  readonly command: 'serve';
  /** Where state, tokens and pods are looked up. */
  readonly backing:
    | ({ readonly kind: 'folder' } & FolderOptions)
    | ({ readonly kind: 'kubernetes' } & KubernetesOptions);
  readonly trustDomain: string;
  readonly listen: string;
  /** Absent: no health and metrics server. */
  readonly metricsListen: string | undefined;
  readonly bundleFile: string | undefined;
  readonly ttl: TtlRules;
  readonly logLevel: LogLevel;
}

export interface RootOptions {
  readonly command: 'root';
  readonly step: 'prepare' | 'activate' | 'drop' | 'show';
  readonly backing:
    | { readonly kind: 'folder'; readonly stateDir: string }
    | ({ readonly kind: 'kubernetes' } & KubernetesOptions);
  readonly trustDomain: string;
}

export type CaOptions = ServeOptions | RootOptions | { readonly command: 'help' };

export const help = `chainmail-ca: issues SPIFFE identities to whoever presents a service-account token.

  chainmail-ca --state-dir DIR --attest-jwks FILE --attest-issuer URL [flags]
  chainmail-ca --kubernetes [flags]
  chainmail-ca root show|prepare|activate|drop --state-dir DIR | --kubernetes [--trust-domain TD]

  --state-dir DIR        where the roots are kept; made when absent, readable by its owner only
  --kubernetes           state in a Secret, tokens by TokenReview, bundle in ConfigMaps, as the pod's service account
  --kubeconfig FILE      with --kubernetes: the credentials of this file instead
  --kube-context NAME    a context of that file
  --trust-domain TD      ${defaultTrustDomain} by default
  --listen HOST:PORT     the CSR service (gRPC, TLS); 0.0.0.0:${ports.ca} by default
  --metrics-listen HOST:PORT  /healthz and /metrics over HTTP; not served unless given
  --attest-jwks FILE     public keys (JWKS) of the issuer of service-account tokens; read again when it changes
  --attest-issuer URL    the iss claim of those tokens
  --bundle-file FILE     publish the trust bundle there (PEM, replaced atomically)
  --default-ttl D        lifetime of certificates whose request names none; 24h by default
  --max-ttl D            longest lifetime that is issued; 90d by default
  --pods-dir DIR         refuse tokens whose pod is not among the objects in DIR
  --log-level L          trace, debug, info, warn, error, fatal or silent; info by default

The root is exchanged in three steps, with a running CA: "root prepare" adds the next one to the bundle, "root
activate" lets it sign once every workload knows it, "root drop" removes the old one once nothing needs it.
`;

const levels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] satisfies LogLevel[];
const steps = ['prepare', 'activate', 'drop', 'show'] as const;

const flags = {
  kubernetes: { type: 'boolean', default: false },
  kubeconfig: { type: 'string' },
  'kube-context': { type: 'string' },
  'state-dir': { type: 'string' },
  'trust-domain': { type: 'string', default: defaultTrustDomain },
  listen: { type: 'string', default: `0.0.0.0:${ports.ca}` },
  'metrics-listen': { type: 'string' },
  'attest-jwks': { type: 'string' },
  'attest-issuer': { type: 'string' },
  'bundle-file': { type: 'string' },
  'default-ttl': { type: 'string', default: '24h' },
  'max-ttl': { type: 'string', default: '90d' },
  'pods-dir': { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const misuse = (message: string): UserError =>
  new UserError('USAGE', message, { hint: 'chainmail-ca --help lists the flags' });

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, allowPositionals: true, strict: true });
  } catch (error) {
    throw misuse(messageOf(error));
  }
}

type Values = ReturnType<typeof parse>['values'];

function required(values: Values, flag: 'state-dir' | 'attest-jwks' | 'attest-issuer'): string {
  const value = values[flag];
  if (value === undefined || value === '') throw misuse(`--${flag} is missing`);
  return value;
}

function readKubernetes(values: Values): KubernetesOptions | undefined {
  const { kubeconfig, 'kube-context': context } = values;
  if (!values.kubernetes) {
    if (kubeconfig !== undefined || context !== undefined) {
      throw misuse('--kubeconfig and --kube-context need --kubernetes');
    }
    return undefined;
  }
  const folderFlag = (['state-dir', 'attest-jwks', 'attest-issuer', 'pods-dir'] as const).find((f) => values[f]);
  if (folderFlag !== undefined) throw misuse(`--${folderFlag} and --kubernetes exclude each other`);
  if (context !== undefined && kubeconfig === undefined) throw misuse('--kube-context needs --kubeconfig');
  return { kubeconfig, context };
}

function readBacking(values: Values): ServeOptions['backing'] {
  const kubernetes = readKubernetes(values);
  if (kubernetes !== undefined) return { kind: 'kubernetes', ...kubernetes };
  return {
    kind: 'folder',
    stateDir: required(values, 'state-dir'),
    jwksPath: required(values, 'attest-jwks'),
    issuer: required(values, 'attest-issuer'),
    podsDir: values['pods-dir'],
  };
}

function readTtl(values: Values): TtlRules {
  const maxSeconds = parseTtl(values['max-ttl'], '--max-ttl');
  const defaultSeconds = parseTtl(values['default-ttl'], '--default-ttl');
  if (defaultSeconds > maxSeconds) throw misuse('--default-ttl is above --max-ttl');
  return { defaultSeconds, maxSeconds };
}

function checkAddress(flag: string, address: string): void {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})$/.exec(address)?.[1];
  if (port === undefined || Number(port) > 65535) throw misuse(`--${flag}: ${address} is not HOST:PORT`);
}

function readServe(values: Values): ServeOptions {
  const metricsListen = values['metrics-listen'];
  checkAddress('listen', values.listen);
  if (metricsListen !== undefined) checkAddress('metrics-listen', metricsListen);
  const logLevel = values['log-level'];
  if (!levels.includes(logLevel)) throw misuse(`--log-level: ${logLevel} is none of ${levels.join(', ')}`);
  return {
    command: 'serve',
    backing: readBacking(values),
    trustDomain: values['trust-domain'],
    listen: values.listen,
    metricsListen,
    bundleFile: values['bundle-file'],
    ttl: readTtl(values),
    logLevel: logLevel as LogLevel,
  };
}

/** @throws UserError USAGE, BAD_DURATION */
export function parseOptions(argv: readonly string[]): CaOptions {
  const { values, positionals } = parse(argv);
  if (values.help) return { command: 'help' };
  const trustDomain = values['trust-domain'];
  if (!isTrustDomain(trustDomain)) throw misuse(`--trust-domain: ${trustDomain} is not a trust domain`);
  const [command, word, ...more] = positionals;
  if (command === undefined) return readServe(values);
  const step = steps.find((s) => s === word);
  if (command !== 'root' || step === undefined || more.length > 0) {
    throw misuse(`unknown command: ${positionals.join(' ')}`);
  }
  const kubernetes = readKubernetes(values);
  const backing =
    kubernetes === undefined
      ? ({ kind: 'folder', stateDir: required(values, 'state-dir') } as const)
      : ({ kind: 'kubernetes', ...kubernetes } as const);
  return { command: 'root', step, backing, trustDomain };
}
