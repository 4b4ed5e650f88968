/** `--set a.b=c`: one value by its path, read as YAML, so that 2 is a number and "2" a text. Pure. */
import { UserError } from '@chainmail/runtime';
import { parse } from 'yaml';

const wrong = (text: string, why: string): UserError =>
  new UserError('VALUES_INVALID', `--set ${text}: ${why}`, { hint: 'write for example --set control.replicas=3' });

function valueIn(text: string, raw: string): unknown {
  try {
    return parse(raw) ?? '';
  } catch {
    throw wrong(text, `${JSON.stringify(raw)} is not a YAML value`);
  }
}

/** One `--set` as a tree of values. A dot inside a name is written `\.`. @throws UserError VALUES_INVALID */
export function parseSet(text: string): Readonly<Record<string, unknown>> {
  const at = text.indexOf('=');
  if (at <= 0) throw wrong(text, 'is not PATH=VALUE');
  const names = text
    .slice(0, at)
    .split(/(?<!\\)\./)
    .map((n) => n.replaceAll('\\.', '.'));
  if (names.some((n) => n === '' || n === '__proto__')) throw wrong(text, 'a name of the path is empty');
  const leaf = valueIn(text, text.slice(at + 1));
  return names.reduceRight<unknown>((value, name) => ({ [name]: value }), leaf) as Readonly<Record<string, unknown>>;
}
