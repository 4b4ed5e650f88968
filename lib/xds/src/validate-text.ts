/** Rules of protoc-gen-validate for text: lengths, affixes, patterns and well-known forms. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { StringRules } from '@chainmail/xds/proto/validate/validate';

export interface TextCheck {
  readonly holds: (text: string) => boolean;
  readonly reason: string;
}

const headerNameStrict = /^:?[0-9a-zA-Z!#$%&'*+.^_|~`-]+$/;
const headerValueStrict = /^[^\0-\x08\x0A-\x1F\x7F]*$/;
const noLineBreak = /^[^\0\n\r]*$/;
const hostname =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$/;
const uuid = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
const email = /^[^@\s]+@[^@\s]+$/;

export function textChecks(rules: StringRules): readonly TextCheck[] {
  return [...lengthChecks(rules), ...contentChecks(rules), ...wellKnownChecks(rules)];
}

function given<K extends keyof StringRules & string>(rules: StringRules, name: K): StringRules[K] | undefined {
  return Object.hasOwn(rules, name) ? rules[name] : undefined;
}

function lengthChecks(rules: StringRules): readonly TextCheck[] {
  const checks: TextCheck[] = [];
  const characters = (text: string): bigint => BigInt([...text].length);
  const bytes = (text: string): bigint => BigInt(Buffer.byteLength(text));
  const add = (limit: bigint | undefined, reason: string, holds: (text: string, limit: bigint) => boolean): void => {
    if (limit !== undefined) checks.push({ reason: reason.replace('%', String(limit)), holds: (t) => holds(t, limit) });
  };
  add(given(rules, 'len'), 'must be % characters long', (t, n) => characters(t) === n);
  add(given(rules, 'minLen'), 'must be at least % character(s) long', (t, n) => characters(t) >= n);
  add(given(rules, 'maxLen'), 'must be at most % characters long', (t, n) => characters(t) <= n);
  add(given(rules, 'lenBytes'), 'must be % bytes long', (t, n) => bytes(t) === n);
  add(given(rules, 'minBytes'), 'must be at least % byte(s) long', (t, n) => bytes(t) >= n);
  add(given(rules, 'maxBytes'), 'must be at most % bytes long', (t, n) => bytes(t) <= n);
  return checks;
}

function contentChecks(rules: StringRules): readonly TextCheck[] {
  const checks: TextCheck[] = [];
  const add = (value: string | undefined, what: string, holds: (text: string, value: string) => boolean): void => {
    if (value !== undefined) checks.push({ reason: `must ${what} '${value}'`, holds: (t) => holds(t, value) });
  };
  add(given(rules, 'const'), 'be', (t, v) => t === v);
  add(given(rules, 'prefix'), 'begin with', (t, v) => t.startsWith(v));
  add(given(rules, 'suffix'), 'end with', (t, v) => t.endsWith(v));
  add(given(rules, 'contains'), 'contain', (t, v) => t.includes(v));
  add(given(rules, 'notContains'), 'not contain', (t, v) => !t.includes(v));
  const pattern = given(rules, 'pattern');
  if (pattern !== undefined) {
    // The patterns stand in the protos we generate from: no input of a user becomes a regular expression here.
    const regex = new RegExp(pattern, 'u');
    checks.push({ reason: `must match ${pattern}`, holds: (t) => regex.test(t) });
  }
  if (rules.in.length > 0)
    checks.push({ reason: `must be one of ${rules.in.join(', ')}`, holds: (t) => rules.in.includes(t) });
  if (rules.notIn.length > 0) {
    checks.push({ reason: `must not be one of ${rules.notIn.join(', ')}`, holds: (t) => !rules.notIn.includes(t) });
  }
  return checks;
}

function wellKnownChecks(rules: StringRules): readonly TextCheck[] {
  const { wellKnown } = rules;
  switch (wellKnown.case) {
    case undefined:
      return [];
    case 'wellKnownRegex':
      return [headerCheck(wellKnown.value, given(rules, 'strict') ?? true)];
    case 'uri':
      return [{ reason: 'must be a URI', holds: (t) => URL.canParse(t) }];
    case 'uriRef':
      return [{ reason: 'must be a URI reference', holds: (t) => URL.canParse(t, 'http://base') }];
    case 'ip':
      return [{ reason: 'must be an IP address', holds: (t) => isIP(t) !== 0 }];
    case 'ipv4':
      return [{ reason: 'must be an IPv4 address', holds: (t) => isIPv4(t) }];
    case 'ipv6':
      return [{ reason: 'must be an IPv6 address', holds: (t) => isIPv6(t) }];
    case 'hostname':
      return [{ reason: 'must be a host name', holds: (t) => hostname.test(t) }];
    case 'address':
      return [{ reason: 'must be a host name or an IP address', holds: (t) => isIP(t) !== 0 || hostname.test(t) }];
    case 'uuid':
      return [{ reason: 'must be a UUID', holds: (t) => uuid.test(t) }];
    case 'email':
      return [{ reason: 'must be an e-mail address', holds: (t) => email.test(t) }];
  }
}

/** KnownRegex: 1 is a header name, 2 a header value; not strict only keeps the line whole. */
function headerCheck(known: number, strict: boolean): TextCheck {
  if (known === 0) return { reason: '', holds: () => true };
  const pattern = !strict ? noLineBreak : known === 1 ? headerNameStrict : headerValueStrict;
  return { reason: `must be a valid header ${known === 1 ? 'name' : 'value'}`, holds: (t) => pattern.test(t) };
}
