/** The command line: Envoy's flags, with the same meaning where we have it and a warning where we have not. */
import { parseArgs } from 'node:util';
import { UserError } from '@chainmail/runtime';

export interface ServeOptions {
  /** Path of the bootstrap file, or null. */
  readonly configPath: string | null;
  /** YAML merged over the file, or null. */
  readonly configYaml: string | null;
  readonly mode: 'serve' | 'validate';
  /** null: not given. */
  readonly concurrency: number | null;
  readonly serviceNode: string;
  readonly serviceCluster: string;
  readonly serviceZone: string;
  readonly logLevel: string | null;
  readonly logPath: string | null;
  readonly adminAddressPath: string | null;
  readonly drainTimeS: number;
  readonly warnings: readonly string[];
  /** Flags that were given and do nothing, by name. */
  readonly withoutEffect: Readonly<Record<string, string | boolean>>;
}

export type Command =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  | { readonly kind: 'sidecar'; readonly options: ServeOptions }
  | { readonly kind: 'init' | 'cleanup'; readonly args: readonly string[] }
  | { readonly kind: 'request-certificate' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'version' }
  | { readonly kind: 'help' };

/** Flags of Envoy that make no sense here, and why. They are accepted, so that one command line starts either. */
const accepted: Readonly<Record<string, { readonly type: 'string' | 'boolean'; readonly why: string }>> = {
  'base-id': { type: 'string', why: 'there is no hot restart' },
  'base-id-path': { type: 'string', why: 'there is no hot restart' },
  'use-dynamic-base-id': { type: 'boolean', why: 'there is no hot restart' },
  'restart-epoch': { type: 'string', why: 'there is no hot restart' },
  'disable-hot-restart': { type: 'boolean', why: 'there is no hot restart' },
  'skip-hot-restart-on-no-parent': { type: 'boolean', why: 'there is no hot restart' },
  'skip-hot-restart-parent-stats': { type: 'boolean', why: 'there is no hot restart' },
  'hot-restart-version': { type: 'boolean', why: 'there is no hot restart' },
  'socket-path': { type: 'string', why: 'there is no hot restart' },
  'socket-mode': { type: 'string', why: 'there is no hot restart' },
  'parent-shutdown-time-s': { type: 'string', why: 'there is no hot restart' },
  'allow-unknown-static-fields': { type: 'boolean', why: 'unknown fields are always refused' },
  'allow-unknown-fields': { type: 'boolean', why: 'unknown fields are always refused' },
  'ignore-unknown-dynamic-fields': { type: 'boolean', why: 'unknown fields are always refused' },
  'reject-unknown-dynamic-fields': { type: 'boolean', why: 'unknown fields are always refused' },
  'skip-deprecated-logs': { type: 'boolean', why: 'deprecated fields are not logged' },
  'component-log-level': { type: 'string', why: 'there is one level for all' },
  'log-format': { type: 'string', why: 'the log is JSON' },
  'log-format-escaped': { type: 'boolean', why: 'the log is JSON' },
  'enable-fine-grain-logging': { type: 'boolean', why: 'there is one level for all' },
  'cpuset-threads': { type: 'boolean', why: '--concurrency says how many workers there are' },
  'enable-mutex-tracing': { type: 'boolean', why: 'there are no such locks' },
  'enable-core-dump': { type: 'boolean', why: 'the system decides about core dumps' },
  'file-flush-interval-msec': { type: 'string', why: 'files are written as lines come' },
  'file-flush-min-size-kb': { type: 'string', why: 'files are written as lines come' },
  'local-address-ip-version': { type: 'string', why: 'both families are used as configured' },
  'drain-strategy': { type: 'string', why: 'draining is immediate' },
  'bootstrap-version': { type: 'string', why: 'only version 3 exists' },
};

const used = {
  'config-path': { type: 'string', short: 'c' },
  'config-yaml': { type: 'string' },
  mode: { type: 'string' },
  concurrency: { type: 'string' },
  'service-node': { type: 'string' },
  'service-cluster': { type: 'string' },
  'service-zone': { type: 'string' },
  'log-level': { type: 'string', short: 'l' },
  'log-path': { type: 'string' },
  'admin-address-path': { type: 'string' },
  'drain-time-s': { type: 'string' },
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Envoy's default of --drain-time-s. */
const defaultDrainTimeS = 600;
const maxConcurrency = 256;

/** @throws UserError USAGE for what is not understood */
export function parseCommand(args: readonly string[]): Command {
  const [first, ...rest] = args;
  switch (first) {
    case 'init':
    case 'cleanup':
      return { kind: first, args: rest };
    case 'request-certificate':
      if (rest.length > 0) throw usage('request-certificate takes no arguments');
      return { kind: 'request-certificate' };
    case 'wait':
      if (rest.length > 0) throw usage('wait takes no arguments');
      return { kind: 'wait' };
    case 'version':
      return { kind: 'version' };
    case 'sidecar':
      return serveCommand('sidecar', rest);
    default:
      return serveCommand('serve', args);
  }
}

function serveCommand(kind: 'serve' | 'sidecar', args: readonly string[]): Command {
  const values = parse(args);
  if (values['help'] === true) return { kind: 'help' };
  if (values['version'] === true) return { kind: 'version' };
  const options = serveOptions(values);
  if (kind === 'serve' && options.configPath === null && options.configYaml === null) {
    throw usage('At least one of --config-path or --config-yaml must be given');
  }
  return { kind, options };
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function parse(args: readonly string[]): Values {
  const others = Object.fromEntries(Object.entries(accepted).map(([name, { type }]) => [name, { type }]));
  try {
    return parseArgs({ args: [...args], options: { ...others, ...used }, allowPositionals: false, strict: true })
      .values;
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. To specify')[0] ?? '') : String(error));
  }
}

function serveOptions(values: Values): ServeOptions {
  const text = (name: keyof typeof used): string | null => {
    const value = values[name];
    return typeof value === 'string' ? value : null;
  };
  const mode = text('mode') ?? 'serve';
  if (mode !== 'serve' && mode !== 'validate') throw usage(`--mode: '${mode}' is not implemented (serve, validate)`);
  const ignored = Object.keys(accepted).flatMap((name): [string, string | boolean][] => {
    const value = values[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    configPath: text('config-path'),
    configYaml: text('config-yaml'),
    mode,
    concurrency: whole(text('concurrency'), '--concurrency', maxConcurrency),
    serviceNode: text('service-node') ?? '',
    serviceCluster: text('service-cluster') ?? '',
    serviceZone: text('service-zone') ?? '',
    logLevel: text('log-level'),
    logPath: text('log-path'),
    adminAddressPath: text('admin-address-path'),
    drainTimeS: whole(text('drain-time-s'), '--drain-time-s', 86_400) ?? defaultDrainTimeS,
    warnings: ignored.map(([name]) => `--${name} has no effect: ${accepted[name]?.why}`),
    withoutEffect: Object.fromEntries(ignored),
  };
}

function whole(text: string | null, flag: string, max: number): number | null {
  if (text === null) return null;
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw usage(`${flag}: '${text}' is not a whole number up to ${max}`);
}

function usage(message: string): UserError {
  return new UserError('USAGE', message, { hint: 'chainmail-agent --help shows what there is' });
}

export const helpText = `chainmail-agent: the data plane of Chainmail, configured like Envoy

  chainmail-agent -c FILE [flags]       run with an Envoy bootstrap (YAML or JSON)
  chainmail-agent sidecar               run in an injected pod, configured by its environment
  chainmail-agent init | cleanup        program or remove interception (--help for flags)
  chainmail-agent request-certificate   in an injected pod: print a new key and certificate of its identity
  chainmail-agent wait                  in an injected pod: until the agent is ready
  chainmail-agent version

  -c, --config-path FILE     bootstrap
      --config-yaml TEXT     YAML, merged over the file
      --mode serve|validate  validate: check the configuration and exit
      --concurrency N        worker threads (default: number of cores)
      --service-node ID      in place of the bootstrap's node.id
      --service-cluster NAME in place of its node.cluster
      --service-zone NAME    in place of its node.locality.zone
  -l, --log-level LEVEL      trace, debug, info, warning, error, critical, off
      --log-path FILE        log there and not to standard error
      --admin-address-path FILE  write the admin address there once it is bound
      --drain-time-s N       how long draining may take (default ${defaultDrainTimeS})

Accepted without effect, with a warning: ${Object.keys(accepted)
  .map((name) => `--${name}`)
  .join(', ')}
`;
