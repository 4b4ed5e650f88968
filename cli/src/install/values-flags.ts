/** The values of install and upgrade: what was there before, then files, then --set, each over the one before. */
import fs from 'node:fs';
import { mergeValues, parseSet } from '@chainmail/manifests';
import { UserError } from '@chainmail/runtime';
import { Flags } from '@oclif/core';
import { parse } from 'yaml';

export const valuesFlags = {
  values: Flags.string({ char: 'f', multiple: true, description: 'file with values; later ones win' }),
  set: Flags.string({ multiple: true, description: 'one value, such as control.replicas=3' }),
} as const;

function readValues(file: string): unknown {
  const text = fs.readFileSync(file, 'utf8');
  try {
    return parse(text) ?? {};
  } catch (cause) {
    throw new UserError('VALUES_INVALID', `${file}: ${cause instanceof Error ? cause.message : 'not YAML'}`, { cause });
  }
}

/** Unchecked. @throws UserError VALUES_INVALID for what cannot be read */
export function givenValues(
  flags: { readonly values?: readonly string[] | undefined; readonly set?: readonly string[] | undefined },
  before: unknown = {},
): unknown {
  const layers = [...(flags.values ?? []).map(readValues), ...(flags.set ?? []).map(parseSet)];
  return layers.reduce(mergeValues, before);
}
