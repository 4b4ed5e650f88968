/** Metadata that hosts are chosen by, as texts to look them up with. */
import type { MetadataMatchSpec } from '../model/cluster.ts';

/** Neither a name nor JSON text has this character in it. */
const separator = '\0';

export function keyOf(parts: readonly string[]): string {
  return parts.join(separator);
}

/** names must be sorted; values stand in the same order. */
export function matchOf(names: readonly string[], values: readonly string[]): MetadataMatchSpec {
  return { names, values, namesKey: keyOf(names), valuesKey: keyOf(values) };
}

/** Only these names of a match; null when one of them is missing. */
export function reduceMatch(match: MetadataMatchSpec, names: readonly string[]): MetadataMatchSpec | null {
  const values: string[] = [];
  for (const name of names) {
    const at = match.names.indexOf(name);
    if (at < 0) return null;
    values.push(match.values[at] ?? '');
  }
  return matchOf(names, values);
}
