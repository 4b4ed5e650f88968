/**
 * Probes and lifecycle calls go through the agent: it accepts every TCP connection, so a tcp probe would always
 * pass, and the kubelet has no mesh identity. The original travels to the agent, the place keeps its timing fields.
 */
import { type AppProbe, type AppProbes, appProbePrefix, ports } from '@chainmail/runtime';
import type { Container, Handler, Pod } from './pod.ts';

export type HandlerField =
  | readonly ['livenessProbe' | 'readinessProbe' | 'startupProbe']
  | readonly ['lifecycle', 'postStart' | 'preStop'];

export const handlerFields: readonly HandlerField[] = [
  ['livenessProbe'],
  ['readinessProbe'],
  ['startupProbe'],
  ['lifecycle', 'postStart'],
  ['lifecycle', 'preStop'],
];

/** Last segment of the path on the health port. */
const pathNames: Readonly<Record<string, string>> = {
  livenessProbe: 'livez',
  readinessProbe: 'readyz',
  startupProbe: 'startupz',
  'lifecycle.postStart': 'poststart',
  'lifecycle.preStop': 'prestop',
};

export type ContainerList = 'containers' | 'initContainers';

/** The fields of a handler of which one says what to do; the others are its timing. */
const callFields = ['httpGet', 'tcpSocket', 'grpc'] as const;

/** A handler whose call was replaced. */
export interface MovedHandler {
  readonly list: ContainerList;
  readonly container: string;
  /** `livenessProbe`, `lifecycle.preStop`, ... */
  readonly field: string;
  /** The call alone: its timing stayed in the pod. */
  readonly original: Handler;
}

export interface Rewritten {
  readonly pod: Pod;
  readonly probes: AppProbes;
  readonly moved: readonly MovedHandler[];
  readonly notes: readonly string[];
}

/** Kubernetes' default, probe and lifecycle call alike. */
const defaultTimeoutSeconds = 1;
/** A lifecycle call has no deadline of its own; the pod's grace period ends it. */
const lifecycleTimeoutMs = 300_000;

/** The pod with all its handlers moved to the agent's health port. */
export function rewriteHandlers(pod: Pod): Rewritten {
  const probes: Record<string, AppProbe> = {};
  const moved: MovedHandler[] = [];
  const notes: string[] = [];
  const rewriteIn = (list: ContainerList, c: Container): Container =>
    handlerFields.reduce((container, field) => {
      const outcome = rewriteOne(container, field);
      if (outcome === undefined) return container;
      if (typeof outcome === 'string') {
        notes.push(`container '${c.name}': ${field.join('.')} ${outcome}`);
        return container;
      }
      const path = healthPath(c.name, field);
      probes[path] = outcome.probe;
      moved.push({ list, container: c.name, field: field.join('.'), original: callOf(outcome.original) });
      return writeHandler(container, field, withCall(outcome.original, healthCall(path)));
    }, c);
  const { initContainers, containers } = pod.spec;
  const spec = {
    ...pod.spec,
    ...(initContainers ? { initContainers: initContainers.map((c) => rewriteIn('initContainers', c)) } : {}),
    containers: containers.map((c) => rewriteIn('containers', c)),
  };
  return { pod: { ...pod, spec }, probes, moved, notes };
}

/** The pod with every moved handler back in its place; one whose container is gone is passed over. */
export function restoreHandlers(pod: Pod, moved: readonly MovedHandler[]): Pod {
  const restoreIn = (list: ContainerList, c: Container): Container =>
    moved
      .filter((m) => m.list === list && m.container === c.name)
      .reduce((container, m) => {
        const field = handlerFields.find((f) => f.join('.') === m.field);
        const now = field === undefined ? undefined : readHandler(container, field);
        if (field === undefined || now?.httpGet?.path !== healthPath(c.name, field)) return container;
        return writeHandler(container, field, withCall(now, m.original));
      }, c);
  const { initContainers, containers } = pod.spec;
  const spec = {
    ...pod.spec,
    ...(initContainers ? { initContainers: initContainers.map((c) => restoreIn('initContainers', c)) } : {}),
    containers: containers.map((c) => restoreIn('containers', c)),
  };
  return { ...pod, spec };
}

export function readHandler(container: Container, field: HandlerField): Handler | undefined {
  return (field.length === 1 ? container[field[0]] : container.lifecycle?.[field[1]]) ?? undefined;
}

function writeHandler(container: Container, field: HandlerField, handler: Handler): Container {
  if (field.length === 1) return { ...container, [field[0]]: handler };
  return { ...container, lifecycle: { ...container.lifecycle, [field[1]]: handler } };
}

/** The port a handler asks, with a name resolved in its own container, as the kubelet does. */
export function handlerPort(handler: Handler | undefined, container: Container): number | undefined {
  const reference = handler?.httpGet?.port ?? handler?.tcpSocket?.port ?? handler?.grpc?.port;
  if (reference === undefined || typeof reference === 'number') return reference;
  const named = container.ports?.find((p) => p.name === reference)?.containerPort;
  return named ?? (/^\d{1,5}$/.test(reference) ? Number(reference) : undefined);
}

function healthPath(container: string, field: HandlerField): string {
  return `${appProbePrefix}${container}/${pathNames[field.join('.')]}`;
}

/** undefined: nothing to move; a text: why it stays as it is. */
function rewriteOne(
  container: Container,
  field: HandlerField,
): { readonly probe: AppProbe; readonly original: Handler } | string | undefined {
  const original = readHandler(container, field);
  if (original === undefined) return undefined;
  const { httpGet, tcpSocket, grpc } = original;
  if (!httpGet && !tcpSocket && !grpc) return undefined; // exec and sleep need no network
  const isLifecycle = field.length === 2;
  if (isLifecycle && !httpGet) return 'stays: Kubernetes runs no tcpSocket lifecycle call';
  if (httpGet?.host || tcpSocket?.host) return 'stays: it names a host of its own, so it does not go to this pod';
  const port = handlerPort(original, container);
  if (port === undefined || port < 1 || port > 65535) {
    return `stays: port '${httpGet?.port ?? tcpSocket?.port}' is no port of this container, so the kubelet fails it`;
  }
  const timeoutMs = isLifecycle ? lifecycleTimeoutMs : (original.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
  return { original, probe: appProbe(original, port, timeoutMs) };
}

function appProbe({ httpGet, grpc }: Handler, port: number, timeoutMs: number): AppProbe {
  if (httpGet) {
    return {
      kind: 'httpGet',
      scheme: httpGet.scheme?.toUpperCase() === 'HTTPS' ? 'HTTPS' : 'HTTP',
      port,
      path: httpGet.path || '/',
      headers: (httpGet.httpHeaders ?? []).map(({ name, value }) => ({ name, value: value ?? '' })),
      timeoutMs,
    };
  }
  if (grpc) return { kind: 'grpc', port, service: grpc.service ?? '', timeoutMs };
  return { kind: 'tcpSocket', port, timeoutMs };
}

function healthCall(path: string): Handler {
  return { httpGet: { path, port: ports.agentHealth, scheme: 'HTTP' } };
}

function isCallField(key: string): boolean {
  return callFields.some((f) => f === key);
}

function callOf(handler: Handler): Handler {
  return Object.fromEntries(Object.entries(handler).filter(([key, value]) => isCallField(key) && value !== null));
}

/** The same timing, another call in the same place. */
function withCall(handler: Handler, call: Handler): Handler {
  const entries = Object.entries(handler).filter(([key, value]) => !isCallField(key) || value !== null);
  return Object.fromEntries(
    entries.flatMap(([key, value]) => (isCallField(key) ? Object.entries(call) : [[key, value] as const])),
  );
}
