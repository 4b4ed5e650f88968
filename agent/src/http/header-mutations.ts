/**
 * Headers that the configuration adds and removes, compiled once: a value without operators is encoded when the route
 * is, one with operators is a function of the request. Within a level removal comes first, then overwriting, then
 * adding, as in Envoy; a header that is overwritten goes to the end, but for Host.
 */

import { type Head, type StaticHeader, staticHeader } from '../http1/head.ts';
import type { EarlyMutationSpec, HeaderAddSpec, HeaderMutationsSpec } from '../model/http.ts';
import type { LogRecord } from './request-view.ts';

/** Evaluates a format string over what is known of the request so far. */
export type Format = (record: LogRecord) => string;
export type FormatCompiler = (format: string) => Format;

interface HeaderAdd {
  readonly name: string;
  readonly action: HeaderAddSpec['action'];
  readonly keepEmpty: boolean;
  /** The whole line, or null when the value depends on the request. */
  readonly fixed: StaticHeader | null;
  readonly fixedValue: string;
  readonly format: Format | null;
}

export interface HeaderEdits {
  readonly remove: readonly string[];
  readonly add: readonly HeaderAdd[];
}

/** Null when there is nothing to do, so that the hot path asks once. */
export function compileEdits(
  levels: readonly HeaderMutationsSpec[],
  side: 'request' | 'response',
  compileFormat: FormatCompiler,
): readonly HeaderEdits[] | null {
  const edits = levels
    .map((level) => ({
      remove: (side === 'request' ? level.requestRemove : level.responseRemove).map((n) => n.toLowerCase()),
      add: (side === 'request' ? level.requestAdd : level.responseAdd)
        .map((a) => compileAdd(a, compileFormat))
        .toSorted((a, b) => Number(isAddition(a)) - Number(isAddition(b))),
    }))
    .filter((e) => e.remove.length + e.add.length > 0);
  return edits.length === 0 ? null : edits;
}

/** One after the other, in the order in which they stand; null for none. */
export function compileEarlyMutations(
  mutations: readonly EarlyMutationSpec[],
  compileFormat: FormatCompiler,
): readonly HeaderEdits[] | null {
  if (mutations.length === 0) return null;
  return mutations.map((m) =>
    m.kind === 'remove' ? { remove: [m.name], add: [] } : { remove: [], add: [compileAdd(m.add, compileFormat)] },
  );
}

const isAddition = (a: HeaderAdd): boolean => a.action === 'append' || a.action === 'add_if_absent';

function compileAdd(spec: HeaderAddSpec, compileFormat: FormatCompiler): HeaderAdd {
  const name = spec.name.toLowerCase();
  const { action, keepEmpty } = spec;
  if (spec.value.includes('%')) {
    return { name, action, keepEmpty, fixed: null, fixedValue: '', format: compileFormat(spec.value) };
  }
  const fixedValue = wireText(spec.value);
  return { name, action, keepEmpty, fixed: staticHeader(name, fixedValue), fixedValue, format: null };
}

/** Text as the bytes of its UTF-8, one character each, without what could end the line. */
function wireText(value: string): string {
  return Buffer.from(value.replace(/[\r\n\0]/g, '')).toString('latin1');
}

/** A value that came out of a request is bytes already, one character each. */
function evaluatedText(value: string): string {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 255) return wireText(value);
  return value.replace(/[\r\n\0]/g, '');
}

export function applyEdits(edits: readonly HeaderEdits[], head: Head, record: LogRecord): void {
  for (const level of edits) {
    for (const name of level.remove) head.removeName(name);
    for (const add of level.add) applyAdd(add, head, record);
  }
}

function applyAdd(add: HeaderAdd, head: Head, record: LogRecord): void {
  const value = add.format === null ? add.fixedValue : evaluatedText(add.format(record));
  if (value === '' && !add.keepEmpty) return;
  switch (add.action) {
    case 'append':
      break;
    case 'add_if_absent':
      if (head.findName(add.name) >= 0) return;
      break;
    case 'overwrite_if_exists':
      if (head.findName(add.name) < 0) return;
      if (overwriteInPlace(add, head, value)) return;
      break;
    case 'overwrite':
      if (overwriteInPlace(add, head, value)) return;
      break;
  }
  if (add.fixed !== null) head.addStatic(add.fixed);
  else head.add(add.name, value);
}

/** False when the header is now absent and is to be added. */
function overwriteInPlace(add: HeaderAdd, head: Head, value: string): boolean {
  if (add.name === 'host' && head.findName(add.name) >= 0) {
    head.set(add.name, value);
    return true;
  }
  head.removeName(add.name);
  return false;
}
