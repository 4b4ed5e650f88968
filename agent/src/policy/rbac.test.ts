import test from 'ava';
import type { RequestView } from '../http/request-view.ts';
import type { HeaderMatchSpec } from '../model/http.ts';
import type { PermissionSpec, PrincipalSpec, RbacSpec } from '../model/rbac.ts';
import type { StringMatchSpec } from '../model/tls.ts';
import { compileRbac, deniedDetails } from './rbac.ts';
import { connection, meshConnection, request } from './testing/request.ts';

const anyone: PrincipalSpec = { kind: 'any' };
const anything: PermissionSpec = { kind: 'any' };
const exact = (value: string): StringMatchSpec => ({ kind: 'exact', value, ignoreCase: false });
const path = (kind: StringMatchSpec['kind'], value: string): PermissionSpec => ({
  kind: 'url_path',
  path: { kind, value, ignoreCase: false },
});
const headerSpec = (name: string, value: string, invert = false): HeaderMatchSpec => ({
  name,
  match: { kind: 'string', value: exact(value) },
  invert,
  treatMissingAsEmpty: false,
});
const header = (name: string, value: string, invert = false): PermissionSpec => ({
  kind: 'header',
  header: headerSpec(name, value, invert),
});
const caller = (name: string): PrincipalSpec => ({ kind: 'authenticated', name: exact(name) });
const web = 'spiffe://cluster.local/ns/shop/sa/web';

function rules(
  action: RbacSpec['action'],
  permission: PermissionSpec,
  principal: PrincipalSpec = anyone,
  name = 'p',
): RbacSpec {
  return { action, policies: [{ name, permissions: [permission], principals: [principal] }] };
}

const allowed = (spec: RbacSpec, view: RequestView): boolean => compileRbac(spec).check(view).allowed;

test('ALLOW lets in what a policy matches and names it', (t) => {
  const rbac = compileRbac(rules('allow', path('prefix', '/api'), caller(web)));
  t.deepEqual(rbac.check(request({ path: '/api/x', connection: meshConnection(web) })), { allowed: true, policy: 'p' });
  t.deepEqual(rbac.check(request({ path: '/x', connection: meshConnection(web) })), { allowed: false, policy: 'none' });
  t.deepEqual(rbac.check(request({ path: '/api' })), { allowed: false, policy: 'none' });
});

test('ALLOW without policies denies all, DENY without policies none', (t) => {
  t.deepEqual(compileRbac({ action: 'allow', policies: [] }).check(request()), { allowed: false, policy: 'none' });
  t.deepEqual(compileRbac({ action: 'deny', policies: [] }).check(request()), { allowed: true, policy: 'none' });
});

test('DENY names the policy, LOG lets everything through', (t) => {
  const rbac = compileRbac(rules('deny', header(':method', 'POST'), anyone, 'SecurityPolicy/shop/web/rule/read only'));
  const verdict = rbac.check(request({ method: 'POST' }));
  t.deepEqual(verdict, { allowed: false, policy: 'SecurityPolicy/shop/web/rule/read only' });
  t.is(deniedDetails(verdict.policy), 'rbac_access_denied_matched_policy[SecurityPolicy/shop/web/rule/read_only]');
  t.true(rbac.check(request()).allowed);
  t.deepEqual(compileRbac(rules('log', anything)).check(request()), { allowed: true, policy: 'p' });
});

test('policies are tried in the byte order of their names, whatever order they come in', (t) => {
  const policy = (name: string): RbacSpec['policies'][number] => ({
    name,
    permissions: [anything],
    principals: [anyone],
  });
  const rbac = compileRbac({
    action: 'deny',
    policies: [policy('\u{1f600}'), policy('\uff21'), policy('b'), policy('B')],
  });
  t.is(rbac.check(request()).policy, 'B');
  const astral = compileRbac({ action: 'deny', policies: [policy('\u{1f600}'), policy('\uff21')] });
  t.is(astral.check(request()).policy, '\uff21');
});

test('permissions and principals: any of each list, both lists', (t) => {
  const rbac = compileRbac({
    action: 'allow',
    policies: [
      { name: 'p', permissions: [path('exact', '/a'), path('exact', '/b')], principals: [caller('x'), caller(web)] },
    ],
  });
  t.true(rbac.check(request({ path: '/b', connection: meshConnection(web) })).allowed);
  t.false(rbac.check(request({ path: '/c', connection: meshConnection(web) })).allowed);
  t.false(rbac.check(request({ path: '/b', connection: meshConnection('y') })).allowed);
});

test('and, or, not, and empty lists', (t) => {
  const both: PermissionSpec = { kind: 'and', of: [path('prefix', '/a'), { kind: 'not', of: path('suffix', '.png') }] };
  t.true(allowed(rules('allow', both), request({ path: '/a/x' })));
  t.false(allowed(rules('allow', both), request({ path: '/a/x.png' })));
  t.true(
    allowed(rules('allow', { kind: 'or', of: [path('exact', '/a'), path('exact', '/b')] }), request({ path: '/b' })),
  );
  t.false(allowed(rules('allow', { kind: 'or', of: [] }), request()));
});

test('addresses, ports and server name', (t) => {
  const info = connection({ remoteIp: '10.0.0.7', localIp: '10.9.0.1', localPort: 8443, sni: 'Api.Example.com' });
  const view = request({ connection: info, remoteIp: '203.0.113.9' });
  const is = (permission: PermissionSpec): boolean => allowed(rules('allow', permission), view);
  const from = (principal: PrincipalSpec): boolean => allowed(rules('allow', anything, principal), view);
  t.true(is({ kind: 'destination_ip', cidr: '10.9.0.0/16' }));
  t.true(is({ kind: 'destination_port', start: 8443, end: 8444 }));
  t.false(is({ kind: 'destination_port', start: 8000, end: 8443 }));
  t.true(is({ kind: 'requested_server_name', name: exact('api.example.com') }));
  t.true(from({ kind: 'direct_remote_ip', cidr: '10.0.0.0/8' }));
  t.false(from({ kind: 'direct_remote_ip', cidr: '203.0.113.0/24' }));
  t.true(from({ kind: 'remote_ip', cidr: '203.0.113.0/24' }));
});

test('first match wins the way control writes it: DENY of everybody but the earlier ALLOW rules', (t) => {
  const allowRules: PrincipalSpec = {
    kind: 'or',
    of: [
      { kind: 'and', of: [caller(web), { kind: 'header', header: headerSpec(':method', 'GET') }] },
      { kind: 'and', of: [caller('spiffe://cluster.local/ns/shop/sa/admin')] },
    ],
  };
  const rbac = compileRbac(
    rules('deny', anything, { kind: 'not', of: allowRules }, 'SecurityPolicy/shop/catalog/default'),
  );
  t.true(rbac.check(request({ connection: meshConnection(web) })).allowed);
  t.deepEqual(rbac.check(request({ method: 'POST', connection: meshConnection(web) })), {
    allowed: false,
    policy: 'SecurityPolicy/shop/catalog/default',
  });
  t.false(rbac.check(request()).allowed);
});

// The network filter.

test('on a bare connection ALLOW never matches by HTTP', (t) => {
  const mesh = meshConnection(web);
  const l4 = (permission: PermissionSpec, principal: PrincipalSpec = anyone): boolean =>
    compileRbac(rules('allow', permission, principal)).checkConnection(mesh).allowed;
  t.true(l4(anything, caller(web)));
  t.false(l4(path('prefix', '/')));
  t.false(l4(header(':method', 'GET')));
  t.false(l4({ kind: 'not', of: header('x-a', 'b') }));
  t.false(l4({ kind: 'not', of: path('prefix', '/admin') }));
  t.false(l4(anything, { kind: 'not', of: { kind: 'header', header: headerSpec('x-a', 'b') } }));
  t.false(l4({ kind: 'header', header: { ...headerSpec('x-a', 'b'), match: { kind: 'present', present: false } } }));
});

test('on a bare connection DENY fires where it cannot tell', (t) => {
  const l4 = (permission: PermissionSpec): boolean =>
    compileRbac(rules('deny', permission)).checkConnection(connection()).allowed;
  t.false(l4(path('prefix', '/admin')));
  t.false(l4(header('x-a', 'b')));
  t.false(l4({ kind: 'not', of: path('prefix', '/public') }));
  t.false(l4({ kind: 'and', of: [path('prefix', '/admin'), { kind: 'destination_port', start: 8080, end: 8081 }] }));
  t.true(l4({ kind: 'and', of: [path('prefix', '/admin'), { kind: 'destination_port', start: 9, end: 10 }] }));
  t.true(l4({ kind: 'destination_ip', cidr: '192.0.2.0/24' }));
});

// Identity.

test('identity is compared as a whole', (t) => {
  const rbac = compileRbac(rules('allow', anything, caller('spiffe://td/ns/a/sa/a.b')));
  const from = (principal: string): boolean => rbac.check(request({ connection: meshConnection(principal) })).allowed;
  t.true(from('spiffe://td/ns/a/sa/a.b'));
  for (const other of ['axb', 'a.b.c', 'a', 'A.B', 'a.b/']) t.false(from(`spiffe://td/ns/a/sa/${other}`), other);
});

test('plaintext has no identity: no rule about names admits it, whichever way it is put', (t) => {
  const plaintext = request();
  const admits = (principal: PrincipalSpec): boolean => allowed(rules('allow', anything, principal), plaintext);
  t.false(admits({ kind: 'authenticated', name: null }));
  t.false(admits({ kind: 'authenticated', name: { kind: 'prefix', value: '', ignoreCase: false } }));
  t.false(admits({ kind: 'authenticated', name: { kind: 'regex', value: '.*', ignoreCase: false } }));
  t.false(admits({ kind: 'not', of: caller(web) }));
  t.false(admits({ kind: 'not', of: { kind: 'or', of: [caller(web), caller('x')] } }));
  t.false(
    admits({
      kind: 'not',
      of: { kind: 'authenticated', name: { kind: 'contains', value: '/ns/b/', ignoreCase: false } },
    }),
  );
  t.true(admits({ kind: 'not', of: { kind: 'authenticated', name: null } }));
  const l4 = compileRbac(rules('allow', anything, { kind: 'not', of: caller(web) }));
  t.false(l4.checkConnection(connection()).allowed);
  t.true(l4.checkConnection(meshConnection('spiffe://cluster.local/ns/shop/sa/other')).allowed);
});
