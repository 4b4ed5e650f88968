/** StringMatcher, HeaderMatcher, QueryParameterMatcher and PathMatcher, as plain data. Regular expressions are RE2. */
import type { HeaderMatcher, QueryParameterMatcher } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { PathMatcher } from '@chainmail/xds/proto/envoy/type/matcher/v3/path';
import type { RegexMatcher } from '@chainmail/xds/proto/envoy/type/matcher/v3/regex';
import type { StringMatcher } from '@chainmail/xds/proto/envoy/type/matcher/v3/string';
import type { HeaderMatchSpec, QueryMatchSpec } from '../model/http.ts';
import type { StringMatchSpec } from '../model/tls.ts';
import { compileRegex } from '../policy/regex.ts';
import type { MessageReader } from './message-reader.ts';

export function readRegex(r: MessageReader<RegexMatcher>): string {
  const engine = r.take('engineType');
  if (engine.case !== undefined) r.within(engine.case, engine.value, (e) => e.take('maxProgramSize'));
  const regex = r.take('regex');
  try {
    compileRegex(regex);
  } catch (error) {
    throw r.invalid('regex', error instanceof Error ? error.message : String(error));
  }
  return regex;
}

export function readStringMatch(r: MessageReader<StringMatcher>): StringMatchSpec {
  const pattern = r.take('matchPattern');
  const ignoreCase = r.take('ignoreCase');
  switch (pattern.case) {
    case undefined:
      throw r.invalid('matchPattern', 'is required');
    case 'custom':
      throw r.unsupported('custom');
    case 'safeRegex':
      // Envoy too applies ignore_case to everything but regular expressions.
      return { kind: 'regex', value: r.within('safeRegex', pattern.value, readRegex), ignoreCase: false };
    default:
      return { kind: pattern.case, value: pattern.value, ignoreCase };
  }
}

export function readPathMatch(r: MessageReader<PathMatcher>): StringMatchSpec {
  const rule = r.take('rule');
  if (rule.case === undefined) throw r.invalid('rule', 'is required');
  return r.within('path', rule.value, readStringMatch);
}

export function readHeaderMatch(r: MessageReader<HeaderMatcher>): HeaderMatchSpec {
  return {
    name: r.take('name').toLowerCase(),
    match: headerCondition(r),
    invert: r.take('invertMatch'),
    treatMissingAsEmpty: r.take('treatMissingHeaderAsEmpty'),
  };
}

function headerCondition(r: MessageReader<HeaderMatcher>): HeaderMatchSpec['match'] {
  const specifier = r.take('headerMatchSpecifier');
  const text = (kind: StringMatchSpec['kind'], value: string): HeaderMatchSpec['match'] => ({
    kind: 'string',
    value: { kind, value, ignoreCase: false },
  });
  switch (specifier.case) {
    case undefined:
      return { kind: 'present', present: true };
    case 'presentMatch':
      return { kind: 'present', present: specifier.value };
    case 'rangeMatch':
      return r.within('rangeMatch', specifier.value, (range) => ({
        kind: 'range',
        start: Number(range.take('start')),
        end: Number(range.take('end')),
      }));
    case 'stringMatch':
      return { kind: 'string', value: r.within('stringMatch', specifier.value, readStringMatch) };
    case 'safeRegexMatch':
      return text('regex', r.within('safeRegexMatch', specifier.value, readRegex));
    case 'exactMatch':
      return text('exact', specifier.value);
    case 'prefixMatch':
      return text('prefix', specifier.value);
    case 'suffixMatch':
      return text('suffix', specifier.value);
    case 'containsMatch':
      return text('contains', specifier.value);
  }
}

export function readQueryMatch(r: MessageReader<QueryParameterMatcher>): QueryMatchSpec {
  const name = r.take('name');
  const specifier = r.take('queryParameterMatchSpecifier');
  switch (specifier.case) {
    case undefined:
      return { name, value: null, present: true };
    case 'presentMatch':
      return { name, value: null, present: specifier.value };
    case 'stringMatch':
      return { name, value: r.within('stringMatch', specifier.value, readStringMatch), present: true };
  }
}
