/**
 * The status annotation: what injection added to a pod and what its handlers were, so that it can be taken out again
 * without a trace. Whoever creates a pod can write it, so it is parsed as input and only ever removes our own names.
 */
import { UserError } from '@chainmail/runtime';
import { type Handler, podShapeError } from './pod.ts';
import { handlerFields, type MovedHandler } from './probes.ts';

/** A field that injection had to create, and what stood there before. */
const creatablePaths = ['/metadata', '/metadata/annotations', '/spec/initContainers', '/spec/volumes'] as const;
export type CreatablePath = (typeof creatablePaths)[number];

export interface InjectionStatus {
  readonly version: 1;
  readonly initContainers: readonly string[];
  /** Only where the agent is no native sidecar. */
  readonly containers?: readonly string[];
  readonly volumes: readonly string[];
  /** Annotations added beside the status itself. */
  readonly annotations: readonly string[];
  readonly created: Readonly<Partial<Record<CreatablePath, 'absent' | 'null'>>>;
  readonly handlers: readonly MovedHandler[];
}

export function formatStatus(status: InjectionStatus): string {
  return JSON.stringify(status);
}

/** @throws UserError STATUS_INVALID */
export function parseStatus(text: string): InjectionStatus {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('is not JSON');
  }
  if (!isObject(value) || value['version'] !== 1) throw invalid('has no version that this injector knows');
  return {
    version: 1,
    initContainers: strings(value['initContainers'], 'initContainers'),
    ...(value['containers'] === undefined ? {} : { containers: strings(value['containers'], 'containers') }),
    volumes: strings(value['volumes'], 'volumes'),
    annotations: strings(value['annotations'], 'annotations'),
    created: created(value['created']),
    handlers: handlers(value['handlers']),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(what: string): UserError {
  return new UserError('STATUS_INVALID', `the status annotation of injection ${what}`, {
    hint: 'remove the annotation together with the containers and volumes of the agent, or start from the original',
  });
}

function strings(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value) || !value.every((v) => typeof v === 'string')) throw invalid(`has no list ${name}`);
  return value;
}

function created(value: unknown): InjectionStatus['created'] {
  if (!isObject(value)) throw invalid('has no object created');
  const wrong = Object.entries(value).find(
    ([path, was]) => !creatablePaths.some((p) => p === path) || (was !== 'absent' && was !== 'null'),
  );
  if (wrong !== undefined) throw invalid(`names ${wrong[0]} as created`);
  return value;
}

function handlers(value: unknown): readonly MovedHandler[] {
  if (!Array.isArray(value)) throw invalid('has no list handlers');
  return value.map((h: unknown): MovedHandler => {
    if (!isObject(h)) throw invalid('has a handler that is no object');
    const { list, container, field, original } = h;
    if (list !== 'containers' && list !== 'initContainers') throw invalid('has a handler in no known list');
    const known = handlerFields.map((f) => f.join('.')).find((f) => f === field);
    if (known === undefined || typeof container !== 'string') throw invalid('has a handler without a place');
    return { list, container, field: known, original: handler(original) };
  });
}

/** Checked as part of a pod, where it will stand. */
function handler(value: unknown): Handler {
  const wrong = podShapeError({ spec: { containers: [{ name: 'x', livenessProbe: value }] } });
  if (!isObject(value) || wrong !== undefined) throw invalid(`holds no handler: ${wrong ?? 'not an object'}`);
  return value;
}
