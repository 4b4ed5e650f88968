/**
 * Regular expressions from configuration, matched in time linear in the input (RE2's syntax and guarantees), since the
 * input comes from strangers. The engine is loaded with the first expression, so most agents never load it.
 */
import { createRequire } from 'node:module';
import { UserError } from '@chainmail/runtime/errors';
import type * as Re2 from 're2js';

/** Longest expression taken from a configuration, in characters; Envoy's own guard is the program size below. */
const maxPatternLength = 4096;
/** Envoy warns from a program size of 100 on and refuses none; this bounds memory and the constant of the linear time. */
const maxProgramSize = 10_000;

/** RE2's own words for what its JavaScript port words in another way, by the port's prefix. */
const re2Words: readonly (readonly [port: string, re2: string])[] = [
  ['missing closing ]', 'missing ]'],
  ['missing closing )', 'missing )'],
  ['missing argument to repetition operator', 'no argument for repetition operator'],
  ['invalid nested repetition operator', 'bad repetition operator'],
  ['trailing backslash at end of expression', 'trailing \\'],
  ['invalid named capture', 'invalid named capture group'],
  ['invalid repeat count', 'invalid repetition size'],
  ['invalid or unsupported Perl syntax', 'invalid perl operator'],
];

export interface CompiledRegex {
  /** The whole text must match. */
  matches(text: string): boolean;
  /** Some part of the text must match. */
  finds(text: string): boolean;
  /** Replaces every match; `\0`..`\9` in the substitution are the groups, as in RE2. */
  replaceAll(text: string, substitution: string): string;
}

let engine: typeof Re2.RE2JS | undefined;

function loadEngine(): typeof Re2.RE2JS {
  engine ??= (createRequire(import.meta.url)('re2js') as typeof Re2).RE2JS;
  return engine;
}

/** Whether the engine has been loaded, for the test of the promise above. */
export function regexEngineLoaded(): boolean {
  return engine !== undefined;
}

function reasonOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const plain = message.replace(/^error parsing regexp: /, '').replace(/`(.*)`$/s, '$1');
  const known = re2Words.find(([port]) => plain.startsWith(port));
  return known === undefined ? plain : known[1] + plain.slice(known[0].length);
}

/**
 * Compiles an RE2 expression.
 * @throws UserError REGEX_INVALID in RE2's words, REGEX_TOO_LARGE over the limits
 */
export function compileRegex(pattern: string): CompiledRegex {
  if (pattern.length > maxPatternLength) throw tooLarge(`is ${pattern.length} characters long`, `${maxPatternLength}`);
  const compiled = parse(pattern);
  const size = compiled.programSize();
  if (size > maxProgramSize) throw tooLarge(`compiles to ${size} instructions`, `${maxProgramSize}`);
  return {
    matches: (text) => compiled.testExact(text),
    finds: (text) => compiled.test(text),
    replaceAll: (text, substitution) => substitute(compiled, text, substitution),
  };
}

function parse(pattern: string): Re2.RE2JS {
  const { compile } = loadEngine();
  try {
    return compile(pattern);
  } catch (thrown) {
    throw new UserError('REGEX_INVALID', `Invalid re2 regex: ${reasonOf(thrown)}`, {
      hint: 'the syntax is RE2: https://github.com/google/re2/wiki/Syntax',
      cause: thrown,
    });
  }
}

function tooLarge(what: string, limit: string): UserError {
  return new UserError('REGEX_TOO_LARGE', `regular expression ${what}; the limit is ${limit}`, {
    hint: 'split it into several matchers',
  });
}

function substitute(compiled: Re2.RE2JS, text: string, substitution: string): string {
  const matcher = compiled.matcher(text);
  let out = '';
  let from = 0;
  while (matcher.find()) {
    out += text.slice(from, matcher.start());
    out += substitution.replace(/\\([0-9\\])/g, (_, c: string) =>
      c === '\\' ? '\\' : (matcher.group(Number(c)) ?? ''),
    );
    from = matcher.end();
  }
  return out + text.slice(from);
}
