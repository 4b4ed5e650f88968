/**
 * Kubernetes objects of one YAML or JSON text, each with the line it came from; a document that is none is a problem
 * with line and reason, and does not hide those beside it.
 */
import { hasCycle, maxNesting, nestsTooDeep } from '@chainmail/runtime';
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import type { KubeObject } from './object.ts';

/** Where an object stands: the file and the line (from 1) of its document. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

export interface LoadedObject {
  readonly object: KubeObject;
  readonly origin: Origin;
  /** Line of a field, by its path inside the object, e.g. ['spec', 'rules', 0]; the nearest parent's if absent. */
  lineOf(fieldPath: readonly (string | number)[]): number;
}

export interface FileProblem {
  readonly origin: Origin;
  readonly reason: string;
}

export interface Loaded {
  readonly objects: readonly LoadedObject[];
  readonly problems: readonly FileProblem[];
}

function shapeError(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not an object';
  const o = value as Partial<KubeObject>;
  if (typeof o.apiVersion !== 'string') return 'apiVersion is missing';
  if (typeof o.kind !== 'string') return 'kind is missing';
  if (typeof o.metadata?.name !== 'string' && typeof o.metadata?.generateName !== 'string') {
    return 'metadata.name is missing';
  }
  return undefined;
}

function expandList(value: KubeObject): KubeObject[] {
  const items = (value as { items?: unknown }).items;
  return value.kind === 'List' && Array.isArray(items) ? (items as KubeObject[]) : [value];
}

type FieldLine = LoadedObject['lineOf'];

/** Line of a field of the document; of the nearest field around it that has one, or of the document itself. */
function linesOf(doc: Document.Parsed, start: number, lineAt: (offset: number) => number): FieldLine {
  return (fieldPath) => {
    for (let n = fieldPath.length; n > 0; n--) {
      const node = doc.getIn(fieldPath.slice(0, n), true) as { range?: readonly number[] } | undefined;
      if (node?.range?.[0] !== undefined) return lineAt(node.range[0]);
    }
    return start;
  };
}

/** The object of a document, or those of its List. */
function objectsOf(value: KubeObject, file: string, lineOf: FieldLine): Loaded {
  const objects: LoadedObject[] = [];
  const problems: FileProblem[] = [];
  for (const [i, object] of expandList(value).entries()) {
    const prefix = value.kind === 'List' ? ['items', i] : [];
    const origin = { file, line: lineOf(prefix) };
    const wrong = shapeError(object);
    if (wrong !== undefined) problems.push({ origin, reason: wrong });
    else objects.push({ object, origin, lineOf: (p) => lineOf([...prefix, ...p]) });
  }
  return { objects, problems };
}

function readDocument(doc: Document.Parsed, file: string, lineAt: (offset: number) => number): Loaded {
  const start = lineAt(doc.contents?.range?.[0] ?? doc.range?.[0] ?? 0);
  const problem = (line: number, reason: string): Loaded => ({
    objects: [],
    problems: [{ origin: { file, line }, reason }],
  });
  const [broken] = doc.errors;
  if (broken !== undefined) {
    const [what = ''] = broken.message.split('\n');
    return problem(lineAt(broken.pos[0]), `not YAML: ${what.replace(/ at line \d+, column \d+:?$/, '')}`);
  }
  const value: unknown = doc.toJS({ maxAliasCount: 100 });
  if (value === null) return { objects: [], problems: [] }; // an empty document between two separators
  if (hasCycle(value)) return problem(start, 'an alias stands inside its own anchor');
  const wrong = shapeError(value);
  const isList = (value as { kind?: unknown }).kind === 'List';
  if (wrong !== undefined && !isList) return problem(start, wrong);
  return objectsOf(value as KubeObject, file, linesOf(doc, start, lineAt));
}

/** Objects and problems of one YAML text, which may hold several documents and Lists. */
export function parseObjects(text: string, file: string): Loaded {
  if (nestsTooDeep(text)) {
    const reason = `nested deeper than ${maxNesting} levels`;
    return { objects: [], problems: [{ origin: { file, line: 1 }, reason }] };
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true });
  const all = [...documents].map((doc) => readDocument(doc, file, (offset) => lines.linePos(offset).line));
  return { objects: all.flatMap((l) => l.objects), problems: all.flatMap((l) => l.problems) };
}
