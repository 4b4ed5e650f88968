/**
 * Injection of manifests as text, for `meshctl inject`: the same pure function on every pod of a stream of YAML or
 * JSON documents. Invariant: a document in which nothing changes comes out byte for byte.
 */

import { escapeSegment, type PatchOperation } from '@chainmail/kube';
import { labels, UserError } from '@chainmail/runtime';
import type { Decision } from './decide.ts';
import { readDocument, type TextDocument } from './document-patch.ts';
import { type InjectionReport, inject } from './inject.ts';
import { type Namespace, type Pod, podShapeError } from './pod.ts';
import { uninject } from './uninject.ts';
import type { AgentValues } from './values.ts';
import { type PodPlace, podsIn } from './workloads.ts';

export interface InjectTextOptions {
  readonly values: AgentValues;
  /** For objects without one; `default` when absent. */
  readonly namespace?: string;
  /** Labels of a namespace beyond those the text itself has; asking for injection is what the command is for, so a namespace that says nothing counts as enabled. */
  readonly namespaceLabels?: (name: string) => Readonly<Record<string, string>> | undefined;
}

export interface PodReport extends InjectionReport {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly decision: Decision | { readonly kind: 'uninject'; readonly reason: string };
  readonly changed: boolean;
}

export interface TextResult {
  readonly text: string;
  readonly pods: readonly PodReport[];
}

interface Change {
  readonly patch: readonly PatchOperation[];
  readonly report: PodReport;
}

/** @throws UserError MANIFEST_INVALID with the line. A refused pod is no error: its report has the decision `deny`. */
export function injectText(text: string, options: InjectTextOptions): TextResult {
  const documents = split(text).map(read);
  const known = namespacesOf(documents);
  const namespaceOf = (place: PodPlace): Namespace => {
    const name = place.namespace ?? options.namespace ?? 'default';
    const given = known.get(name) ?? options.namespaceLabels?.(name);
    return { name, labels: { [labels.inject]: 'enabled', ...given } };
  };
  return rewrite(documents, (place) => {
    const namespace = namespaceOf(place);
    const { decision, patch, report } = inject(place.pod, namespace, options.values);
    return { patch, report: reportOf(place, namespace.name, { decision, patch, report }) };
  });
}

/** Takes injection out again. @throws UserError MANIFEST_INVALID, STATUS_INVALID */
export function uninjectText(text: string): TextResult {
  return rewrite(split(text).map(read), (place) => {
    const patch = podShapeError(place.pod) === undefined ? uninject(place.pod as Pod).patch : [];
    const reason = patch.length === 0 ? 'has no agent' : 'took the agent out';
    const report = { notes: [], warnings: [], refusals: [] };
    return {
      patch,
      report: reportOf(place, place.namespace ?? 'default', { decision: { kind: 'uninject', reason }, patch, report }),
    };
  });
}

function reportOf(
  { kind, name }: PodPlace,
  namespace: string,
  {
    decision,
    patch,
    report,
  }: { decision: PodReport['decision']; patch: readonly PatchOperation[]; report: InjectionReport },
): PodReport {
  return { kind, name, namespace, decision, changed: patch.length > 0, ...report };
}

interface Segment {
  readonly text: string;
  readonly line: number;
}

interface ReadSegment extends Segment {
  readonly document: TextDocument;
}

/** Manifests above this are no manifests; parsing them would stall the command. */
const maxTextBytes = 64 * 1024 * 1024;

/**
 * The documents of a stream, separators at the head of each. `---` at the start of a line can stand nowhere else: no
 * scalar may hold it (YAML 1.2.2, 9.1.2).
 */
function split(text: string): readonly Segment[] {
  if (text.length > maxTextBytes)
    throw new UserError('MANIFEST_INVALID', `the text is larger than ${maxTextBytes} bytes`);
  let line = 1;
  return text.split(/^(?=---(?:[ \t\r\n]|$))/m).map((segment) => {
    const at = line;
    line += segment.split('\n').length - 1;
    return { text: segment, line: at };
  });
}

function read(segment: Segment): ReadSegment {
  const document = readDocument(segment.text);
  if (!('error' in document)) return { ...segment, document };
  throw new UserError('MANIFEST_INVALID', `line ${segment.line + document.line - 1}: ${document.error}`);
}

function rewrite(segments: readonly ReadSegment[], change: (place: PodPlace) => Change): TextResult {
  const pods: PodReport[] = [];
  const texts = segments.map(({ text, document }) => {
    const patch = podsIn(document.value).flatMap((place) => {
      const changed = change(place);
      pods.push(changed.report);
      return changed.patch.map((o) => ({ ...o, path: pointerTo(place) + o.path }));
    });
    return patch.length === 0 ? text : document.patched(patch);
  });
  return { text: texts.join(''), pods };
}

function pointerTo({ path }: PodPlace): string {
  return path.map((s) => `/${escapeSegment(String(s))}`).join('');
}

/** Labels of the Namespace objects in the same text. */
function namespacesOf(segments: readonly ReadSegment[]): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const found = new Map<string, Readonly<Record<string, string>>>();
  for (const { document } of segments) {
    const o = document.value as {
      kind?: unknown;
      metadata?: { name?: unknown; labels?: Record<string, string> | null };
    } | null;
    if (o?.kind === 'Namespace' && typeof o.metadata?.name === 'string')
      found.set(o.metadata.name, o.metadata.labels ?? {});
  }
  return found;
}
