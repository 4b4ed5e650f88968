/**
 * What a port refuses, and in whose name. Ordered rules, first match wins, become denials that are independent of
 * each other: each is named after the rule or default that refuses, so that the proxy's own report names the policy.
 * Invariant: a request that no rule allows and the default does not allow is in exactly one denial or more, never none.
 */
import type { AuthorizationRule, SecurityPolicy } from '@chainmail/kube';
import type { EffectiveMesh, SecurityEntry } from '../model/policy-index.ts';
import { spiffeIdOf } from '../model/world.ts';
import { all, always, any, type Expression, never, not } from './expression.ts';

export interface Denial {
  /** e.g. `SecurityPolicy/shop/catalog-readers/rule/web-reads`. */
  readonly policy: string;
  readonly when: Expression;
}

/** What can be seen of a request: on an opaque port neither method nor path nor headers. */
export type Sight = 'http' | 'opaque';

export interface Place {
  readonly trustDomain: string;
  /** The destination port; undefined for all that have no filter chain of their own. */
  readonly port: number | undefined;
  readonly sight: Sight;
}

type Principal = NonNullable<AuthorizationRule['principal']>;
type Operation = NonNullable<AuthorizationRule['operation']>;

function cidr(text: string): Expression {
  const [address = '', bits] = text.split('/');
  return {
    is: 'client-address',
    address,
    bits: bits === undefined ? (address.includes(':') ? 128 : 32) : Number(bits),
  };
}

/** Whoever came without a certificate. */
const anonymous = not({ is: 'identity-below', prefix: 'spiffe://' });

/** One condition for each field about who the caller is. */
function identityIs(principal: Principal, namespace: string, trustDomain: string): Expression[] {
  const { identities, namespaces, serviceAccounts } = principal;
  const ids = serviceAccounts?.map((s) => spiffeIdOf(trustDomain, s.includes('/') ? s : `${namespace}/${s}`));
  const below = namespaces?.map((n): Expression => {
    return { is: 'identity-below', prefix: `spiffe://${trustDomain}/ns/${n}/` };
  });
  const named = [identities, ids].map((list) => list?.map((exact): Expression => ({ is: 'identity', exact })));
  return [...named, below].flatMap((list) => (list === undefined ? [] : [any(list)]));
}

/** A caller without an identity may be anybody: it is nobody whom a rule allows, and anybody whom a rule denies. */
function principalIs(rule: AuthorizationRule, principal: Principal, namespace: string, place: Place): Expression {
  const who = identityIs(principal, namespace, place.trustDomain);
  const known = all(who);
  const identity = rule.action === 'Deny' && who.length > 0 ? any([known, anonymous]) : known;
  const { clientCIDRs } = principal;
  return clientCIDRs === undefined ? identity : all([identity, any(clientCIDRs.map(cidr))]);
}

/** A prefix of the Gateway API ends at a segment: /items holds for /items and /items/1, not for /itemsets. */
function below(value: string): Expression {
  const bare = value.endsWith('/') ? value.slice(0, -1) : value;
  const inside: Expression = { is: 'path', match: 'prefix', value: `${bare}/` };
  return bare === '' ? inside : any([{ is: 'path', match: 'exact', value: bare }, inside]);
}

function pathIs(path: NonNullable<Operation['paths']>[number]): Expression {
  if (typeof path === 'string') {
    return path.endsWith('/*') ? below(path.slice(0, -1)) : { is: 'path', match: 'exact', value: path };
  }
  const value = path.value ?? '/';
  switch (path.type ?? 'PathPrefix') {
    case 'Exact':
      return { is: 'path', match: 'exact', value };
    case 'RegularExpression':
      return { is: 'path', match: 'regex', value };
    default:
      return below(value);
  }
}

function headerIs(header: NonNullable<Operation['headers']>[number]): Expression {
  const name = header.name.toLowerCase();
  const values = header.values;
  return values === undefined
    ? { is: 'header', name }
    : any(values.map((value): Expression => ({ is: 'header', name, value })));
}

function readsHttp(operation: Operation | undefined): boolean {
  return operation?.methods !== undefined || operation?.paths !== undefined || operation?.headers !== undefined;
}

/** True when the policy can be enforced fully only on requests: its ports are then read as HTTP. */
export function needsHttp(entry: SecurityEntry, port: number | undefined): boolean {
  if (entry.kind === 'broken') return false;
  return (entry.policy.spec.authorization.rules ?? []).some(
    (r) => readsHttp(r.operation) && concernsPort(r.operation, port),
  );
}

/** True when a rule looks at paths: ambiguous escapes are then refused rather than guessed. */
export function readsPaths(entry: SecurityEntry): boolean {
  if (entry.kind === 'broken') return false;
  return (entry.policy.spec.authorization.rules ?? []).some((r) => r.operation?.paths !== undefined);
}

/** Ports that rules name: each gets a filter chain of its own, since a condition on ports is decided here. */
export function portsNamed(entry: SecurityEntry): readonly number[] {
  if (entry.kind === 'broken') return [];
  return (entry.policy.spec.authorization.rules ?? []).flatMap((r) => r.operation?.ports ?? []);
}

function concernsPort(operation: Operation | undefined, port: number | undefined): boolean {
  return operation?.ports === undefined || (port !== undefined && operation.ports.includes(port));
}

function operationIs(operation: Operation, rule: AuthorizationRule, place: Place): Expression {
  if (!concernsPort(operation, place.port)) return never;
  // On an opaque port an HTTP condition cannot be seen: it allows nothing, and denies whatever else fits.
  if (place.sight === 'opaque' && readsHttp(operation)) return rule.action === 'Allow' ? never : always;
  const { methods, paths, headers } = operation;
  return all([
    methods === undefined ? always : any(methods.map((method) => ({ is: 'method', method }))),
    paths === undefined ? always : any(paths.map(pathIs)),
    headers === undefined ? always : all(headers.map(headerIs)),
  ]);
}

function ruleMatches(rule: AuthorizationRule, namespace: string, place: Place): Expression {
  return all([
    rule.principal === undefined ? always : principalIs(rule, rule.principal, namespace, place),
    rule.operation === undefined ? always : operationIs(rule.operation, rule, place),
  ]);
}

/** The denials of one policy at one place, in the order of its rules, the default last. */
function denialsOf(policy: SecurityPolicy, place: Place): Denial[] {
  const { namespace, name } = policy.metadata;
  const prefix = `SecurityPolicy/${namespace}/${name}`;
  const { rules = [], defaultAction = 'Deny' } = policy.spec.authorization;
  const denials: Denial[] = [];
  const seen: Expression[] = [];
  const allowed: Expression[] = [];
  for (const [i, rule] of rules.entries()) {
    const match = ruleMatches(rule, namespace, place);
    if (rule.action === 'Allow') allowed.push(match);
    else denials.push({ policy: `${prefix}/rule/${rule.name ?? i}`, when: all([match, not(any(allowed))]) });
    seen.push(match);
  }
  if (defaultAction === 'Deny') denials.push({ policy: `${prefix}/default`, when: not(any(seen)) });
  return denials.filter((d) => d.when.is !== 'never');
}

/** The mesh's default, where no SecurityPolicy stands. */
function defaultDenials(mesh: EffectiveMesh, trustDomain: string): Denial[] {
  switch (mesh.authorization) {
    case 'allow-all':
      return [];
    case 'deny':
      return [{ policy: `${mesh.authorizedBy}/deny`, when: always }];
    case 'allow-mesh': {
      const ours: Expression = { is: 'identity-below', prefix: `spiffe://${trustDomain}/` };
      return [{ policy: `${mesh.authorizedBy}/allow-mesh`, when: not(ours) }];
    }
  }
}

/** Every policy that covers the place has its say: what one refuses is refused. */
export function denials(entries: readonly SecurityEntry[], mesh: EffectiveMesh, place: Place): Denial[] {
  if (entries.length === 0) return defaultDenials(mesh, place.trustDomain);
  return entries.flatMap((e) =>
    e.kind === 'policy'
      ? denialsOf(e.policy, place)
      : [{ policy: `SecurityPolicy/${e.namespace}/${e.name}/invalid`, when: always }],
  );
}
