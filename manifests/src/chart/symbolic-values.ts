/**
 * Values in which every leaf is a mark that stands for itself: rendering them gives the objects of an installation with
 * the places where values go, which a Helm template then fills. Invariant: rendering passes values on as they are, or
 * inside a text; where it does more, the mark has an expression of its own.
 */
import { defaultInstallValues, type InstallValues } from '../install/values.ts';

const open = '\u27e6';
const close = '\u27e7';

/** Parts of values that are passed on whole, whatever they hold. */
const whole = new Set(['resources', 'nodeSelector', 'tolerations', 'pullSecrets']);

const mark = (name: string): string => `${open}${name}${close}`;

/** A list of which rendering makes something for each item. */
export const eachPort = 'networkPolicies.apiServerPorts[]';

function symbolic(value: unknown, names: readonly string[]): unknown {
  const name = names.join('.');
  if (name === 'networkPolicies.apiServerPorts') return [mark(eachPort)];
  const isLeaf = typeof value !== 'object' || value === null || whole.has(names.at(-1) ?? '');
  if (isLeaf) return mark(name);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, symbolic(v, [...names, k])]));
}

/** Typed as values, since rendering takes no other; nothing else may look into them. */
export const symbolicValues = (): InstallValues => symbolic(defaultInstallValues, []) as InstallValues;

/** Each mark of a text, with its quotes if it has any, by what `put` makes of its name. */
export function replaceMarks(text: string, put: (name: string) => string): string {
  return text.replaceAll(new RegExp(`"?${open}([^${close}]+)${close}"?`, 'g'), (_, name: string) => put(name));
}

export const markPattern = (name: string): string => mark(name).replaceAll(/[.[\]]/g, '\\$&');
export const isMarked = (text: string): boolean => text.includes(open);
