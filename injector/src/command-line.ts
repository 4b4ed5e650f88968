/** The command line of chainmail-injector. */
import { parseArgs } from 'node:util';
import { type LogLevel, messageOf, UserError } from '@chainmail/runtime';

export interface InjectorCommand {
  readonly help: boolean;
  readonly listen: { readonly host: string; readonly port: number };
  readonly valuesFile: string;
  readonly caAddress: string;
  readonly tokenFile: string;
  readonly trustBundleFile: string;
  readonly namespacesDir: string | undefined;
  /** Where the API server is; undefined asks none. */
  readonly kubernetes: { readonly kubeconfig: string | undefined; readonly context: string | undefined } | undefined;
  /** The MutatingWebhookConfiguration whose caBundle is kept. */
  readonly webhookConfiguration: string | undefined;
  readonly logLevel: LogLevel;
}

export const usage = `Usage: chainmail-injector --listen HOST:PORT --values FILE --ca HOST:PORT --token-file FILE --trust-bundle FILE
Answers AdmissionReview v1 at POST https://HOST:PORT/inject and /inject/pod, GET /livez, /ready (503 until reviews
can be answered) and /metrics.

  --listen HOST:PORT      where to serve
  --values FILE           what agents get: image, addresses, resources, ... (YAML)
  --ca HOST:PORT          the CSR service of the CA
  --token-file FILE       service-account token for the CA
  --trust-bundle FILE     trust bundle (PEM)
  --namespaces-dir DIR    folder of objects with the namespaces and their labels; without it every namespace that
                          reaches the webhook counts as enabled
  --kubernetes            labels of namespaces from the API server instead, as the pod's service account
  --kubeconfig FILE       with --kubernetes: the credentials of this file instead
  --kube-context NAME     a context of that file
  --webhook-configuration NAME  with --kubernetes: keep the caBundle of this MutatingWebhookConfiguration
  --log-level LEVEL       trace, debug, info (default), warn or error
  -h, --help              this text
`;

const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error'];

const stringOption = { type: 'string' } as const;
const options = {
  listen: stringOption,
  values: stringOption,
  ca: stringOption,
  'token-file': stringOption,
  'trust-bundle': stringOption,
  'namespaces-dir': stringOption,
  kubernetes: { type: 'boolean' },
  kubeconfig: stringOption,
  'kube-context': stringOption,
  'webhook-configuration': stringOption,
  'log-level': stringOption,
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws UserError USAGE */
export function parseCommand(args: readonly string[]): InjectorCommand {
  const values = parse(args);
  const help = values.help ?? false;
  const required = (flag: 'listen' | 'values' | 'ca' | 'token-file' | 'trust-bundle'): string => {
    const value = values[flag];
    if (value === undefined && !help) throw misuse(`--${flag} is missing`);
    return value ?? '';
  };
  return {
    help,
    listen: help ? { host: '', port: 0 } : hostAndPort(required('listen')),
    valuesFile: required('values'),
    caAddress: required('ca'),
    tokenFile: required('token-file'),
    trustBundleFile: required('trust-bundle'),
    namespacesDir: values['namespaces-dir'],
    kubernetes: readKubernetes(values),
    webhookConfiguration: values['webhook-configuration'],
    logLevel: logLevel(values['log-level'] ?? 'info'),
  };
}

function misuse(message: string): UserError {
  return new UserError('USAGE', message, { hint: 'see chainmail-injector --help' });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw misuse(messageOf(error));
  }
}

function readKubernetes(values: ReturnType<typeof parse>): InjectorCommand['kubernetes'] {
  const { kubeconfig, 'kube-context': context } = values;
  if (values.kubernetes !== true) {
    const flag = (['kubeconfig', 'kube-context', 'webhook-configuration'] as const).find((f) => values[f]);
    if (flag !== undefined) throw misuse(`--${flag} needs --kubernetes`);
    return undefined;
  }
  if (values['namespaces-dir'] !== undefined) throw misuse('--namespaces-dir and --kubernetes exclude each other');
  if (context !== undefined && kubeconfig === undefined) throw misuse('--kube-context needs --kubeconfig');
  return { kubeconfig, context };
}

function logLevel(text: string): LogLevel {
  const level = logLevels.find((l) => l === text);
  if (level === undefined) throw misuse(`--log-level: '${text}' is not one of ${logLevels.join(', ')}`);
  return level;
}

function hostAndPort(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) throw misuse(`--listen: '${text}' is not HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '', port };
}
