/**
 * SecurityPolicy: who may do what, in the shape of Envoy Gateway's `authorization`. Rules are tried in order and the
 * first that matches decides; within a rule, fields are joined by AND and the items of a list by OR.
 */
import net from 'node:net';
import { apiVersion } from '@chainmail/runtime';
import { label, portNumber } from '../schema/names.ts';
import {
  anything,
  type Infer,
  list,
  object,
  oneOf,
  refine,
  type Schema,
  shown,
  text,
  textOr,
} from '../schema/schema.ts';
import { namespacedMetadata } from './meta.ts';
import { targets } from './target.ts';

const identity = text({
  noun: 'a SPIFFE ID such as spiffe://cluster.local/ns/shop/sa/web',
  pattern: /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)+$/,
  maxLength: 2048,
});

const serviceAccount = text({
  noun: "a service account, as name (of the policy's namespace) or namespace/name",
  pattern: /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
  maxLength: 317,
});

/** True for `10.0.0.0/8`, `fd00::/8` and bare addresses. */
function isCidr(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  const family = net.isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

const cidr: Schema<string> = refine(
  text({ maxLength: 49 }),
  (v, path, report) => {
    if (!isCidr(v)) report(path, `${shown(v)} is not an address range; write one such as 10.0.0.0/8 or fd00::/8`);
  },
  {
    rules: [{ rule: 'isCIDR(self) || isIP(self)', message: 'must be an address range such as 10.0.0.0/8 or fd00::/8' }],
  },
);

const namesNobody = 'names nobody; add identities, namespaces, serviceAccounts or clientCIDRs, or leave principal out';

const principal = refine(
  object(
    {},
    {
      identities: list(identity, { min: 1, max: 256 }),
      namespaces: list(label, { min: 1, max: 256 }),
      serviceAccounts: list(serviceAccount, { min: 1, max: 256 }),
      clientCIDRs: list(cidr, { min: 1, max: 256 }),
    },
  ),
  (value, path, report) => {
    if (Object.keys(value).length === 0) {
      report(path, namesNobody);
    }
  },
  {
    rules: [
      {
        rule: 'has(self.identities) || has(self.namespaces) || has(self.serviceAccounts) || has(self.clientCIDRs)',
        message: namesNobody,
      },
    ],
  },
);

/** RE2 has none of these, and a pattern that one engine runs and the other refuses is a hole. */
const notRe2 = /\(\?[=!<]|\\[1-9]|\(\?>/;

function checkRegex(value: string): string | undefined {
  if (notRe2.test(value)) return 'look-around and back-references are not allowed; write a plain expression';
  try {
    new RegExp(value, 'u');
    return undefined;
  } catch (error) {
    return `not a regular expression: ${error instanceof Error ? error.message : 'unknown'}`;
  }
}

/** Shared with HTTPRoute: a path match of the Gateway API. */
export const pathMatch = refine(
  object(
    {},
    {
      type: oneOf('Exact', 'PathPrefix', 'RegularExpression'),
      value: text({ noun: 'a path that begins with "/"', maxLength: 1024 }),
    },
  ),
  (match, path, report) => {
    const value = match.value ?? '/';
    if (match.type === 'RegularExpression') {
      const wrong = checkRegex(value);
      if (wrong !== undefined) report([...path, 'value'], wrong);
    } else if (!value.startsWith('/')) {
      report([...path, 'value'], `${shown(value)} does not begin with "/"`);
    } else if (/[?#]|\/\/|\/\.\.?(\/|$)|%2f|%5c|\\/i.test(value)) {
      report([...path, 'value'], `${shown(value)} can never match: paths are compared without query and normalised`);
    }
  },
);

const pathText = refine(
  text({ noun: 'a path such as /items or, for all below it, /items/*', maxLength: 1024 }),
  (v, path, report) => {
    const bare = v.endsWith('/*') ? v.slice(0, -2) || '/' : v;
    if (bare.includes('*')) report(path, `"*" stands only at the end, after "/"; for more use type: RegularExpression`);
    else pathMatch.check({ type: 'Exact', value: bare }, [], (_, message) => report(path, message));
  },
);

const header = object(
  { name: text({ noun: 'a header name', pattern: /^[A-Za-z0-9!#$%&'*+.^_|~-]+$/, maxLength: 256 }) },
  { values: list(text(), { min: 1, max: 64 }) },
);

const operation = refine(
  object(
    {},
    {
      methods: list(
        text({ noun: 'an HTTP method in capitals, such as GET', pattern: /^[A-Z]{1,32}$/, maxLength: 32 }),
        {
          min: 1,
          max: 64,
        },
      ),
      paths: list(textOr(pathText, pathMatch), { min: 1, max: 64 }),
      ports: list(portNumber, { min: 1, max: 64 }),
      headers: list(header, { min: 1, max: 64 }),
    },
  ),
  (value, path, report) => {
    if (Object.keys(value).length === 0) {
      report(path, 'names nothing; add methods, paths, ports or headers, or leave operation out');
    }
  },
  { minProperties: 1 }, // CEL cannot see `paths`, whose items are a text or an object
);

const rule = refine(
  object(
    { action: oneOf('Allow', 'Deny') },
    {
      name: text({ noun: 'a short name', pattern: /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})?$/, maxLength: 63 }),
      principal,
      operation,
    },
  ),
  (value, path, report) => {
    if (value.principal === undefined && value.operation === undefined) {
      report(path, `matches every request; set authorization.defaultAction: ${value.action} instead`);
    }
  },
  {
    rules: [
      {
        rule: 'has(self.principal) || has(self.operation)',
        message: 'matches every request; set authorization.defaultAction instead, or add principal or operation',
      },
    ],
  },
);

const authorization = refine(
  object({}, { defaultAction: oneOf('Allow', 'Deny'), rules: list(rule, { max: 256 }) }),
  (value, path, report) => {
    const seen = new Map<string, number>();
    for (const [i, r] of (value.rules ?? []).entries()) {
      const first = r.name === undefined ? undefined : seen.get(r.name);
      if (first !== undefined)
        report([...path, 'rules', i, 'name'], `${shown(r.name)} is already the name of rules[${first}]`);
      if (r.name !== undefined) seen.set(r.name, i);
    }
  },
  {
    rules: [
      {
        rule: '!has(self.rules) || self.rules.all(r, !has(r.name) || self.rules.exists_one(o, has(o.name) && o.name == r.name))',
        message: 'two rules have the same name; give each its own, since denials are told by it',
      },
    ],
  },
);

const later = 'is not supported yet; remove it, since a policy of which a part is ignored would be a hole';

export const securityPolicy = object(
  {
    apiVersion: oneOf(apiVersion),
    kind: oneOf('SecurityPolicy'),
    metadata: namespacedMetadata,
    spec: object(
      { authorization },
      { ...targets },
      {
        instead: {
          ...Object.fromEntries(
            ['jwt', 'cors', 'csrf', 'basicAuth', 'apiKeyAuth', 'extAuth', 'oidc'].map((f) => [f, later]),
          ),
          targetRef: 'write a list: targetRefs',
        },
      },
    ),
  },
  { status: anything },
);

export type SecurityPolicy = Infer<typeof securityPolicy>;
export type AuthorizationRule = Infer<typeof rule>;
export type PathMatch = Infer<typeof pathMatch>;
