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
  readonly logLevel: LogLevel;
}

export const usage = `Usage: chainmail-injector --listen HOST:PORT --values FILE --ca HOST:PORT --token-file FILE --trust-bundle FILE
Answers AdmissionReview v1 at POST https://HOST:PORT/inject, GET /healthz (503 until it has a certificate) and /metrics.

  --listen HOST:PORT      where to serve
  --values FILE           what agents get: image, addresses, resources, ... (YAML)
  --ca HOST:PORT          the CSR service of the CA
  --token-file FILE       service-account token for the CA
  --trust-bundle FILE     trust bundle (PEM)
  --namespaces-dir DIR    folder of objects with the namespaces and their labels; without it every namespace that
                          reaches the webhook counts as enabled
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
