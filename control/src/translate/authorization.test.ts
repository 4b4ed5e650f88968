import type { AuthorizationRule, SecurityPolicy } from '@chainmail/kube';
import { numbers } from '@chainmail/runtime/testing';
import test from 'ava';
import { buildWorld } from '../model/build-world.ts';
import type { EffectiveMesh } from '../model/policy-index.ts';
import { objectsOf, shop } from '../testing/world-files.ts';
import { type Denial, denials, type Place } from './authorization.ts';
import type { Expression } from './expression.ts';
import { inboundModel } from './inbound-model.ts';

interface Request {
  readonly identity: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly port: number;
}

const strict: EffectiveMesh = { mode: 'STRICT', authorization: 'allow-mesh', authorizedBy: 'MeshPolicy/default' };

/** What the proxy would find, apart from Envoy's messages. */
function holds(e: Expression, r: Request): boolean {
  switch (e.is) {
    case 'always':
      return true;
    case 'never':
      return false;
    case 'all':
      return e.of.every((x) => holds(x, r));
    case 'any':
      return e.of.some((x) => holds(x, r));
    case 'not':
      return !holds(e.of, r);
    case 'identity':
      return r.identity === e.exact;
    case 'identity-below':
      return r.identity?.startsWith(e.prefix) ?? false;
    case 'method':
      return r.method === e.method;
    case 'path':
      return e.match === 'exact' ? r.path === e.value : e.match === 'prefix' && r.path.startsWith(e.value);
    case 'client-address':
    case 'header':
      return false;
  }
}

function policy(rules: readonly AuthorizationRule[], defaultAction: 'Allow' | 'Deny' = 'Deny'): SecurityPolicy {
  return {
    apiVersion: 'chainmail.dev/v1alpha1',
    kind: 'SecurityPolicy',
    metadata: { name: 'p', namespace: 'shop' },
    spec: { authorization: { defaultAction, rules } },
  };
}

const at = (port: number, sight: Place['sight'] = 'http'): Place => ({ trustDomain: 'cluster.local', port, sight });
const translated = (p: SecurityPolicy, place: Place): Denial[] =>
  denials([{ kind: 'policy', policy: p }], strict, place);
const refusedBy = (p: SecurityPolicy, r: Request): string[] =>
  translated(p, at(r.port))
    .filter((d) => holds(d.when, r))
    .map((d) => d.policy);

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const request: Request = { identity: web, method: 'GET', path: '/items', port: 8080 };

/** The meaning of a policy, straight from its words: the first rule that matches decides. */
function firstMatch(p: SecurityPolicy, r: Request): string | undefined {
  const { rules = [], defaultAction } = p.spec.authorization;
  for (const [i, rule] of rules.entries()) {
    const accounts = rule.principal?.serviceAccounts?.map((s) => `spiffe://cluster.local/ns/shop/sa/${s}`);
    const namespaces = rule.principal?.namespaces?.map((n) => `spiffe://cluster.local/ns/${n}/`);
    const asked = accounts !== undefined || namespaces !== undefined;
    const known =
      (accounts?.includes(r.identity ?? '') ?? true) && (namespaces?.some((n) => r.identity?.startsWith(n)) ?? true);
    const matches =
      (known || (asked && rule.action === 'Deny' && r.identity === undefined)) &&
      (rule.operation?.methods?.includes(r.method) ?? true) &&
      (rule.operation?.ports?.includes(r.port) ?? true) &&
      (rule.operation?.paths?.some((x) => x === r.path) ?? true);
    if (matches) return rule.action === 'Allow' ? undefined : `SecurityPolicy/shop/p/rule/${rule.name ?? i}`;
  }
  return defaultAction === 'Allow' ? undefined : 'SecurityPolicy/shop/p/default';
}

function anyRule(next: (below: number) => number): AuthorizationRule {
  const some = <T>(values: readonly T[]): T[] => values.filter(() => next(2) === 0).slice(0, 2);
  const accounts = some(['web', 'catalog', 'a.b']);
  const namespaces = some(['shop', 'ops']);
  const methods = some(['GET', 'POST']);
  const paths = some(['/items', '/admin']);
  const ports = next(3) === 0 ? [8080] : [];
  const principal = {
    ...(accounts.length > 0 ? { serviceAccounts: accounts } : {}),
    ...(namespaces.length > 0 ? { namespaces } : {}),
  };
  const operation = {
    ...(methods.length > 0 ? { methods } : {}),
    ...(paths.length > 0 ? { paths } : {}),
    ...(ports.length > 0 ? { ports } : {}),
  };
  return {
    action: next(2) === 0 ? 'Allow' : 'Deny',
    ...(Object.keys(principal).length > 0 ? { principal } : {}),
    ...(Object.keys(operation).length > 0 ? { operation } : {}),
  };
}

test('denials mean what the ordered rules mean, and the right policy is among those named', (t) => {
  const next = numbers(7);
  const callers = [undefined, web, 'spiffe://cluster.local/ns/shop/sa/axb', 'spiffe://cluster.local/ns/ops/sa/catalog'];
  let denied = 0;
  for (let round = 0; round < 400; round++) {
    const p = policy(
      Array.from({ length: next(5) }, () => anyRule(next)),
      next(4) === 0 ? 'Allow' : 'Deny',
    );
    for (const identity of callers) {
      for (const method of ['GET', 'POST']) {
        for (const path of ['/items', '/admin', '/other']) {
          const r = { identity, method, path, port: next(2) === 0 ? 8080 : 9090 };
          const expected = firstMatch(p, r);
          const found = refusedBy(p, r);
          if (expected === undefined) t.deepEqual(found, [], JSON.stringify({ p: p.spec, r }));
          else t.true(found.includes(expected), JSON.stringify({ expected, found, p: p.spec, r }));
          denied += found.length > 0 ? 1 : 0;
        }
      }
    }
  }
  t.true(denied > 1000);
});

test('a caller without an identity is never allowed by a rule about identity', (t) => {
  const p = policy([{ name: 'web', action: 'Allow', principal: { namespaces: ['shop'] } }]);
  t.deepEqual(refusedBy(p, { ...request, identity: undefined }), ['SecurityPolicy/shop/p/default']);
});

test('a caller without an identity is refused by every rule that denies an identity, whatever else is allowed', (t) => {
  const plaintext = { ...request, identity: undefined };
  const named = { serviceAccounts: ['intruder'] };
  for (const principal of [named, { namespaces: ['outside'] }, { identities: [web] }]) {
    const p = policy([{ name: 'keep-out', action: 'Deny', principal }], 'Allow');
    t.deepEqual(refusedBy(p, plaintext), ['SecurityPolicy/shop/p/rule/keep-out'], JSON.stringify(principal));
  }
  const first = policy([
    { name: 'keep-out', action: 'Deny', principal: named },
    { action: 'Allow', operation: { methods: ['GET'] } },
  ]);
  t.deepEqual(refusedBy(first, plaintext), ['SecurityPolicy/shop/p/rule/keep-out']);
  t.deepEqual(refusedBy(first, request), []);
  const after = policy([
    { action: 'Allow', operation: { methods: ['GET'] } },
    { action: 'Deny', principal: named },
  ]);
  t.deepEqual(refusedBy(after, plaintext), [], 'what a rule before it allows to everybody stays allowed');
});

test('names are compared whole: dots are no wildcards, a namespace is no prefix', (t) => {
  const p = policy([{ action: 'Allow', principal: { serviceAccounts: ['a.b'] } }]);
  t.is(refusedBy(p, { ...request, identity: 'spiffe://cluster.local/ns/shop/sa/a.b' }).length, 0);
  t.is(refusedBy(p, { ...request, identity: 'spiffe://cluster.local/ns/shop/sa/axb' }).length, 1);
  const n = policy([{ action: 'Allow', principal: { namespaces: ['shop'] } }]);
  t.is(refusedBy(n, { ...request, identity: 'spiffe://cluster.local/ns/shopping/sa/web' }).length, 1);
});

test('a path below a prefix is one of its segments', (t) => {
  const p = policy([{ action: 'Allow', operation: { paths: ['/items/*'] } }]);
  t.is(refusedBy(p, { ...request, path: '/items' }).length, 0);
  t.is(refusedBy(p, { ...request, path: '/items/1' }).length, 0);
  t.is(refusedBy(p, { ...request, path: '/itemsets' }).length, 1);
});

test('on an opaque port an HTTP condition allows nothing and denies whatever else fits', (t) => {
  const allow = policy([{ action: 'Allow', operation: { methods: ['GET'] } }]);
  t.deepEqual(translated(allow, at(5432, 'opaque')), [
    { policy: 'SecurityPolicy/shop/p/default', when: { is: 'always' } },
  ]);
  const deny = policy([{ name: 'x', action: 'Deny', operation: { methods: ['GET'] } }], 'Allow');
  t.deepEqual(translated(deny, at(5432, 'opaque')), [
    { policy: 'SecurityPolicy/shop/p/rule/x', when: { is: 'always' } },
  ]);
});

test('a policy that is broken and was never sound denies under its own name', (t) => {
  const world = buildWorld('cluster.local', objectsOf(shop), {
    security: [{ namespace: 'shop', name: 'oops', services: ['catalog'] }],
    mesh: [],
  });
  const catalog = world.pods.get('shop/catalog-1');
  const web1 = world.pods.get('shop/web-1');
  if (catalog === undefined || web1 === undefined) return t.fail();
  t.deepEqual(inboundModel(world, catalog, 'mesh').ports[0]?.denials, [
    { policy: 'SecurityPolicy/shop/oops/invalid', when: { is: 'always' } },
  ]);
  t.regex(inboundModel(world, web1, 'mesh').ports[0]?.denials[0]?.policy ?? '', /allow-mesh/);
});

test('a broken MeshPolicy denies where no SecurityPolicy stands, in its namespace or the whole mesh', (t) => {
  for (const namespace of ['shop', 'chainmail-system']) {
    const world = buildWorld('cluster.local', objectsOf(shop), { security: [], mesh: [{ namespace, name: 'oops' }] });
    const pod = world.pods.get('shop/catalog-1');
    if (pod === undefined) return t.fail();
    t.deepEqual(inboundModel(world, pod, 'mesh').ports[0]?.denials, [
      { policy: `MeshPolicy/${namespace}/oops/invalid/deny`, when: { is: 'always' } },
    ]);
  }
});

test('the policies of two Services that lead to one port both hold', (t) => {
  const two = `${shop}---
apiVersion: v1
kind: Service
metadata: { name: catalog-too, namespace: shop }
spec: { clusterIP: 10.96.0.12, selector: { app: catalog }, ports: [{ name: http, port: 81, targetPort: 8080 }] }
---
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: one, namespace: shop }
spec: { targetRefs: [{ kind: Service, name: catalog }], authorization: { defaultAction: Allow } }
---
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: two, namespace: shop }
spec: { targetRefs: [{ kind: Service, name: catalog-too }], authorization: { defaultAction: Deny } }
`;
  const world = buildWorld('cluster.local', objectsOf(two));
  const pod = world.pods.get('shop/catalog-1');
  if (pod === undefined) return t.fail();
  t.deepEqual(
    inboundModel(world, pod, 'mesh').ports[0]?.denials.map((d) => d.policy),
    ['SecurityPolicy/shop/two/default'],
  );
});
