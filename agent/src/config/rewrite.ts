/** RegexMatchAndSubstitute: an RE2 expression and what its matches become. */
import type { RegexMatchAndSubstitute } from '@chainmail/xds/proto/envoy/type/matcher/v3/regex';
import type { RewriteSpec } from '../model/http.ts';
import type { MessageReader } from './message-reader.ts';
import { readRegex } from './string-match.ts';

export function readRewrite(r: MessageReader<RegexMatchAndSubstitute>): RewriteSpec {
  return { pattern: r.required('pattern', readRegex), substitution: r.take('substitution') };
}
