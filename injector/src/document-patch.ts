/**
 * JSON Patch on one YAML or JSON document as text: comments, order and quoting of what is not touched stay, as far as
 * the YAML library can keep them.
 */

import { type PatchOperation, pointerSegments } from '@chainmail/kube';
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isSeq,
  parseDocument,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';

export interface TextDocument {
  readonly value: unknown;
  /** The text of the document with the patch applied. */
  readonly patched: (patch: readonly PatchOperation[]) => string;
}

export type ReadDocument = TextDocument | { readonly error: string; readonly line: number };

/** Reads one document of a stream, separators and comments included. */
export function readDocument(text: string): ReadDocument {
  const document = parseDocument(text, { merge: true, uniqueKeys: true });
  const broken = document.errors[0];
  if (broken !== undefined) {
    return { error: broken.message.split('\n')[0] ?? 'not YAML', line: broken.linePos?.[0].line ?? 1 };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return {
      value,
      patched: (patch) => withLineEnds(text, isJson(text) ? patchJson(text, patch) : patchYaml(text, patch)),
    };
  } catch (error) {
    return { error: error instanceof Error ? error.message : 'not YAML', line: 1 };
  }
}

function isJson(text: string): boolean {
  return /^\s*[{[]/.test(text) && parsesAsJson(text);
}

function parsesAsJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Written as CRLF where the original was. */
function withLineEnds(original: string, text: string): string {
  return original.includes('\r\n') ? text.replace(/\r?\n/g, '\r\n') : text;
}

function patchJson(text: string, patch: readonly PatchOperation[]): string {
  const document = parseDocument(text);
  for (const operation of patch) applyToNodes(document, operation);
  const indent = /^[ \t]+/m.exec(text)?.[0] ?? (text.trim().includes('\n') ? '  ' : '');
  return `${JSON.stringify(document.toJS(), null, indent)}${/\s*$/.exec(text)?.[0] ?? ''}`;
}

function patchYaml(text: string, patch: readonly PatchOperation[]): string {
  const document = parseDocument(text, { merge: true });
  const plain = hasAliases(document) ? withoutAliases(document) : document;
  for (const operation of patch) applyToNodes(plain, operation);
  const indent = indentOf(text);
  return plain.toString({
    lineWidth: 0,
    indent,
    indentSeq: indentsSequences(text),
    flowCollectionPadding: padsFlow(text),
  });
}

/** How much deeper than its key a map stands in this text: 2 where it has none to tell. */
function indentOf(text: string): number {
  const keyWithMap = /^( *(?:- +)*)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\r?\n( +)[^\s#-]/gm;
  for (const [, before = '', inside = ''] of text.matchAll(keyWithMap)) {
    if (inside.length > before.length) return Math.max(2, inside.length - before.length);
  }
  return 2;
}

/** Whether `- item` stands deeper than its key, as this text has it; Kubernetes' own tools do not indent it. */
function indentsSequences(text: string): boolean {
  const first = /^( *)(?:- )*[^\s#][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- /m.exec(text);
  return first === null || (first[2] ?? '').length > (first[1] ?? '').length;
}

function padsFlow(text: string): boolean {
  return !/\{[^\s}]/.test(text);
}

function hasAliases(document: Document): boolean {
  let found = false;
  visit(document, {
    Alias: () => {
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

/** A change behind an alias would change every place that uses it, so such a document is written out in full. */
function withoutAliases(document: Document): Document {
  const expanded = parseDocument('');
  expanded.contents = expanded.createNode(structuredClone(document.toJS({ maxAliasCount: 100 })), {
    aliasDuplicateObjects: false,
  }) as never;
  expanded.commentBefore = document.commentBefore;
  expanded.comment = document.comment;
  if (document.directives?.docStart && expanded.directives) expanded.directives.docStart = true;
  return expanded;
}

function applyToNodes(document: Document, operation: PatchOperation): void {
  const segments = pointerSegments(operation.path);
  const key = segments.at(-1) ?? '';
  const parent = segments
    .slice(0, -1)
    .reduce<unknown>((node, s) => childOf(node, s, operation.path), document.contents);
  if (isSeq(parent)) editSequence(document, parent, key, operation);
  else if (isMap(parent)) editMap(document, parent, key, operation);
  else throw new Error(`the patch does not fit the document at ${operation.path}`);
}

function childOf(node: unknown, segment: string, path: string): unknown {
  const next = isSeq(node) ? node.get(Number(segment), true) : isMap(node) ? node.get(segment, true) : undefined;
  if (next === undefined || isAlias(next)) throw new Error(`the patch does not fit the document at ${path}`);
  return next;
}

function editSequence(document: Document, list: YAMLSeq, key: string, operation: PatchOperation): void {
  const index = Number(key);
  if (operation.op === 'remove') list.delete(index);
  else list.items.splice(index, operation.op === 'add' ? 0 : 1, created(document, operation.value));
  inBlockStyle(list, operation);
}

function editMap(document: Document, map: YAMLMap, key: string, operation: PatchOperation): void {
  if (operation.op === 'remove') map.delete(key);
  else if (isCollection(map.get(key, true)) || !map.has(key)) map.set(key, created(document, operation.value));
  else map.set(key, operation.value);
  inBlockStyle(map, operation);
}

/** Written out in full: an anchor for parts that happen to be the same object would only puzzle the reader. */
function created(document: Document, value: unknown) {
  return document.createNode(value, { aliasDuplicateObjects: false });
}

/** `[]` that gets a container, or `{}` that gets annotations, would else hold it all on one line. */
function inBlockStyle(parent: YAMLSeq | YAMLMap, operation: PatchOperation): void {
  if (operation.op === 'add' && typeof operation.value === 'object') parent.flow = false;
}
