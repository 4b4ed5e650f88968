/**
 * What an installation decides, typed, with a default for everything. One truth for `meshctl install`, the Helm chart's
 * values.yaml and its JSON schema. Unknown and wrong values are refused with their path and what to write instead.
 */

import { isDeepStrictEqual } from 'node:util';
import {
  bool,
  checked,
  duration,
  durationMs,
  formatPath,
  type Infer,
  integer,
  list,
  map,
  object,
  oneOf,
  parseQuantity,
  refine,
  text,
} from '@chainmail/kube';
import { defaultTrustDomain, UserError } from '@chainmail/runtime';

const quantity = refine(text({ noun: 'a quantity such as 100m or 64Mi', maxLength: 32 }), (v, path, report) => {
  if (!parseQuantity(v)) report(path, `${JSON.stringify(v)} is not a quantity above zero, such as 100m or 64Mi`);
});
const cpuAndMemory = object({}, { cpu: quantity, memory: quantity });
const resources = refine(object({}, { requests: cpuAndMemory, limits: cpuAndMemory }), (value, path, report) => {
  for (const name of ['cpu', 'memory'] as const) {
    const request = value.requests?.[name];
    const limit = value.limits?.[name];
    if (request === undefined || limit === undefined) continue;
    if ((parseQuantity(request) ?? 0n) > (parseQuantity(limit) ?? 0n))
      report(
        [...path, 'requests', name],
        `${request} is above the limit ${limit}; raise the limit or lower the request`,
      );
  }
});

const imageReference = text({
  noun: 'an image reference such as registry.example/control:0.1.0',
  pattern: /^\S+$|^$/,
});
const level = oneOf('trace', 'debug', 'info', 'warn', 'error');
const toleration = object(
  {},
  {
    key: text(),
    operator: oneOf('Exists', 'Equal'),
    value: text(),
    effect: oneOf('NoSchedule', 'PreferNoSchedule', 'NoExecute'),
    tolerationSeconds: integer(0, 2 ** 31 - 1),
  },
);

const program = {
  image: imageReference,
  replicas: integer(1, 32),
  resources,
  logLevel: level,
  nodeSelector: map(text()),
  tolerations: list(toleration, { max: 64 }),
  priorityClassName: text({ noun: 'the name of a PriorityClass', pattern: /^[a-z0-9.-]*$/, maxLength: 253 }),
} as const;

/** The shape of a values file; every field may be left out. */
export const valuesSchema = object(
  {},
  {
    trustDomain: text({
      noun: 'a trust domain of a-z, 0-9, ".", "-" and "_"',
      pattern: /^[a-z0-9._-]+$/,
      maxLength: 255,
    }),
    image: object(
      {},
      {
        registry: text({
          noun: 'a registry with its path, such as registry.example/mesh',
          pattern: /^[^\s]*[^\s/]$/,
          maxLength: 255,
        }),
        tag: text({ noun: 'an image tag', pattern: /^[A-Za-z0-9_][A-Za-z0-9._-]*$/, maxLength: 128 }),
        pullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
        pullSecrets: list(object({ name: text({ maxLength: 253 }) }, {}), { max: 16 }),
      },
    ),
    agent: object(
      {},
      {
        image: imageReference,
        resources,
        /** 0 leaves it to the CA. */
        certificateTtlSeconds: integer(0, 90 * 24 * 3600),
        tokenTtlSeconds: integer(600, 2 ** 31 - 1),
        /** 0 lets the agent decide by the processors it may use. */
        concurrency: integer(0, 256),
        logLevel: level,
      },
      { instead: { replicas: { type: 'integer', advice: 'an agent runs in every pod; remove the field' } } },
    ),
    ca: object({}, { ...program, defaultTtl: duration, maxTtl: duration }),
    control: object({}, program),
    injector: object({}, program),
    networkPolicies: object({}, { enabled: bool, apiServerPorts: list(integer(1, 65535), { min: 1, max: 8 }) }),
  },
  {
    instead: {
      namespace: {
        type: 'string',
        advice: 'the namespace is chainmail-system; it is part of every identity of the mesh',
      },
    },
  },
);

type Whole<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]-?: Whole<Exclude<T[K], undefined>> }
    : T;
type PartialValues = Infer<typeof valuesSchema>;
type Program = Omit<Whole<NonNullable<PartialValues['control']>>, 'resources'> & { readonly resources: Resources };

export interface Resources {
  readonly requests?: { readonly cpu?: string; readonly memory?: string };
  readonly limits?: { readonly cpu?: string; readonly memory?: string };
}
export type ProgramValues = Program;

export interface InstallValues {
  readonly trustDomain: string;
  readonly image: Whole<NonNullable<PartialValues['image']>>;
  readonly agent: Omit<Whole<NonNullable<PartialValues['agent']>>, 'resources'> & { readonly resources: Resources };
  readonly ca: Program & { readonly defaultTtl: string; readonly maxTtl: string };
  readonly control: Program;
  readonly injector: Program;
  readonly networkPolicies: { readonly enabled: boolean; readonly apiServerPorts: readonly number[] };
}

/** The version of what this meshctl installs: the tag of its images. */
export const meshVersion = '0.1.0';

const programDefaults = {
  image: '',
  replicas: 2,
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  logLevel: 'info',
  nodeSelector: {},
  tolerations: [],
  priorityClassName: '',
} as const;

export const defaultInstallValues: InstallValues = {
  trustDomain: defaultTrustDomain,
  image: { registry: 'chainmail.dev', tag: meshVersion, pullPolicy: 'IfNotPresent', pullSecrets: [] },
  agent: {
    image: '',
    resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } },
    certificateTtlSeconds: 0,
    tokenTtlSeconds: 3600,
    concurrency: 0,
    logLevel: 'info',
  },
  ca: { ...programDefaults, defaultTtl: '24h', maxTtl: '2160h' },
  control: programDefaults,
  injector: programDefaults,
  networkPolicies: { enabled: true, apiServerPorts: [443, 6443] },
};

const isPlain = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);

/** Later values win, maps are merged, lists are replaced; null leaves what was there. */
export function mergeValues(base: unknown, over: unknown): unknown {
  if (over === undefined || over === null) return base;
  if (!isPlain(base) || !isPlain(over)) return over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map((k) => [k, mergeValues(base[k], over[k])]));
}

/**
 * What of the values is not a default. An installation writes down this, not the whole: the defaults of a newer
 * meshctl, its image tag first of all, must come through in an upgrade.
 */
export function valuesBeyondDefaults(values: unknown, defaults: unknown = defaultInstallValues): unknown {
  if (!isPlain(values) || !isPlain(defaults)) return values;
  const kept = Object.entries(values).flatMap(([name, value]) => {
    if (isDeepStrictEqual(value, defaults[name])) return [];
    return [[name, valuesBeyondDefaults(value, defaults[name])]];
  });
  return Object.fromEntries(kept);
}

function refused(problems: readonly string[]): UserError {
  return new UserError('VALUES_INVALID', `the values are wrong:\n    ${problems.join('\n    ')}`, {
    hint: 'meshctl install --show-values prints every value with its default',
  });
}

/** Defaults with what is given on top. @throws UserError VALUES_INVALID with every path */
export function installValues(given: unknown): InstallValues {
  const result = checked(valuesSchema, given ?? {});
  if (!result.ok) throw refused(result.problems.map((p) => `${formatPath(p.path) || 'values'}: ${p.message}`));
  const values = mergeValues(defaultInstallValues, result.value) as InstallValues;
  const whole = checked(valuesSchema, values); // a request of a default against a limit that was given
  if (!whole.ok) throw refused(whole.problems.map((p) => `${formatPath(p.path)}: ${p.message}`));
  if (durationMs(values.ca.defaultTtl) > durationMs(values.ca.maxTtl)) {
    throw refused([`ca.defaultTtl: ${values.ca.defaultTtl} is above ca.maxTtl ${values.ca.maxTtl}`]);
  }
  return values;
}

/** The image of a program: the one that is named, or the registry's with the tag. */
export function imageOf(values: InstallValues, name: 'agent' | 'ca' | 'control' | 'injector'): string {
  const { registry, tag } = values.image;
  return values[name].image || `${registry}/${name}:${tag}`;
}
