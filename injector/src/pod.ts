/**
 * The part of a Pod that injection reads, and the check that an untyped object has it.
 * Invariant: whatever injection does not name travels through `[field: string]: unknown` unchanged.
 */

export interface Handler {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number | string;
    readonly host?: string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value?: string }[];
  };
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly timeoutSeconds?: number;
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly [f: string]: unknown }[];
  readonly resources?: Resources;
  readonly securityContext?: { readonly runAsUser?: number; readonly [field: string]: unknown };
  readonly volumeMounts?: readonly { readonly name: string; readonly [field: string]: unknown }[];
  readonly livenessProbe?: Handler;
  readonly readinessProbe?: Handler;
  readonly startupProbe?: Handler;
  readonly lifecycle?: { readonly postStart?: Handler; readonly preStop?: Handler; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

export type Quantities = Readonly<Record<string, string | number>>;

export interface Resources {
  readonly requests?: Quantities;
  readonly limits?: Quantities;
  readonly [field: string]: unknown;
}

export interface PodMetadata {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly [field: string]: unknown }[];
  readonly hostNetwork?: boolean;
  readonly os?: { readonly name?: string };
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly securityContext?: { readonly runAsUser?: number; readonly [field: string]: unknown };
  readonly resources?: Resources;
  readonly terminationGracePeriodSeconds?: number;
  readonly [field: string]: unknown;
}

/** A Pod, or the pod template of a workload: only metadata and spec matter. */
export interface Pod {
  readonly metadata?: PodMetadata;
  readonly spec: PodSpec;
  readonly [field: string]: unknown;
}

/** The namespace a pod is created in. */
export interface Namespace {
  readonly name: string;
  /** undefined when nobody could say: a pod that depends on them is refused. */
  readonly labels: Readonly<Record<string, string>> | undefined;
}

type Check = (value: unknown, at: string) => string | undefined;

/** What is wrong with the shape of a pod, with its path; undefined for one that injection can read. */
export function podShapeError(value: unknown): string | undefined {
  return podShape(value, '');
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** null is what YAML makes of a field without a value; the API server drops it. */
const optional =
  (check: Check): Check =>
  (value, at) =>
    value === undefined || value === null ? undefined : check(value, at);

const typed =
  (type: 'string' | 'number' | 'boolean'): Check =>
  (value, at) =>
    typeof value === type ? undefined : `${at}: must be a ${type}`;

const shape =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    if (!isObject(value)) return `${at === '' ? 'pod' : at}: must be an object`;
    for (const [name, check] of Object.entries(fields)) {
      const wrong = check(value[name], at === '' ? name : `${at}.${name}`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };

const listOf =
  (check: Check): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return `${at}: must be a list`;
    for (const [i, item] of value.entries()) {
      const wrong = check(item, `${at}[${i}]`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };

const mapOf =
  (check: Check): Check =>
  (value, at) => {
    if (!isObject(value)) return `${at}: must be an object`;
    return Object.entries(value)
      .map(([key, v]) => check(v, `${at}[${JSON.stringify(key)}]`))
      .find((wrong) => wrong !== undefined);
  };

const text = optional(typed('string'));
const number = optional(typed('number'));
const quantity: Check = (value, at) =>
  typeof value === 'string' || typeof value === 'number' ? undefined : `${at}: must be a quantity`;
const portReference: Check = (value, at) =>
  typeof value === 'string' || typeof value === 'number' ? undefined : `${at}: must be a port number or name`;

const handler = optional(
  shape({
    timeoutSeconds: number,
    httpGet: optional(
      shape({
        path: text,
        port: portReference,
        host: text,
        scheme: text,
        httpHeaders: optional(listOf(shape({ name: typed('string'), value: text }))),
      }),
    ),
    tcpSocket: optional(shape({ port: portReference, host: text })),
    grpc: optional(shape({ port: typed('number'), service: text })),
  }),
);
const resources = optional(shape({ requests: optional(mapOf(quantity)), limits: optional(mapOf(quantity)) }));
const securityContext = optional(shape({ runAsUser: number }));

const container = shape({
  name: typed('string'),
  ports: optional(listOf(shape({ name: text, containerPort: typed('number') }))),
  resources,
  securityContext,
  volumeMounts: optional(listOf(shape({ name: typed('string') }))),
  livenessProbe: handler,
  readinessProbe: handler,
  startupProbe: handler,
  lifecycle: optional(shape({ postStart: handler, preStop: handler })),
});

const podShape = shape({
  metadata: optional(
    shape({
      name: text,
      generateName: text,
      namespace: text,
      labels: optional(mapOf(typed('string'))),
      annotations: optional(mapOf(typed('string'))),
    }),
  ),
  spec: shape({
    containers: listOf(container),
    initContainers: optional(listOf(container)),
    volumes: optional(listOf(shape({ name: typed('string') }))),
    hostNetwork: optional(typed('boolean')),
    os: optional(shape({ name: text })),
    nodeSelector: optional(mapOf(typed('string'))),
    securityContext,
    resources,
    terminationGracePeriodSeconds: number,
  }),
});

/** Every container of a pod, with the path of each. */
export function allContainers(spec: PodSpec): readonly { readonly container: Container; readonly path: string }[] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    (spec[list] ?? []).map((c, i) => ({ container: c, path: `spec.${list}[${i}]` })),
  );
}
