/** Configuration text, YAML or JSON, to a message. A key that stands twice is refused: the second would win in silence. */
import { createRequire } from 'node:module';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { hasCycle, maxNesting, nestsTooDeep, UserError } from '@chainmail/runtime';
import type * as Yaml from 'yaml';
import { parseEnvoyJson } from './json.ts';
import { parsePlainJson } from './plain-json.ts';

/** Aliases may not blow a small text up to a large one. */
const maxAliases = 1_000;

/**
 * The plain value of one YAML or JSON document.
 * @param name of the file, for messages
 * @throws UserError CONFIG_SYNTAX with line and column
 */
export function parseConfigText(text: string, name: string): unknown {
  if (nestsTooDeep(text)) throw new UserError('CONFIG_SYNTAX', `${name}: nested deeper than ${maxNesting} levels`);
  const plain = parsePlainJson(text);
  if (plain !== undefined) return plain.value;
  // Loaded here: a process that reads no YAML need not carry its parser (4 MB).
  const { parseDocument } = createRequire(import.meta.url)('yaml') as typeof Yaml;
  const document = parseDocument(text, { uniqueKeys: true, merge: false, version: '1.2', prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const at = error.linePos?.[0];
    const place = at === undefined ? name : `${name}:${at.line}:${at.col}`;
    throw new UserError('CONFIG_SYNTAX', `${place}: ${error.message.split(' at line ')[0]}`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: maxAliases });
  } catch (cause) {
    throw new UserError('CONFIG_SYNTAX', `${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  if (hasCycle(value)) throw new UserError('CONFIG_SYNTAX', `${name}: an alias stands inside its own anchor`);
  return value;
}

/** The YAML parser's files, alone or in a bundle. */
const yamlFile = /\/yaml(\.cjs|\/dist\/.*\.js)$/;

/** Lets go of the YAML parser; the next text that is no JSON loads it again. */
export function releaseYaml(): void {
  const { cache } = createRequire(import.meta.url);
  for (const file of Object.keys(cache)) if (yamlFile.test(file)) delete cache[file];
}

/** @throws UserError CONFIG_SYNTAX, or FieldError. An empty document is the empty message, as for Envoy. */
export function messageFromText<D extends DescMessage>(schema: D, text: string, name: string): MessageShape<D> {
  return parseEnvoyJson(schema, parseConfigText(text, name) ?? {});
}
