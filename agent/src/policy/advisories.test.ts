/** One test for each class of advisory that a policy engine can fall to; the numbers are those of the originals. */
import test from 'ava';
import { normalizePath } from '../http/path-normalization.ts';
import type { PermissionSpec, RbacSpec } from '../model/rbac.ts';
import type { StringMatchSpec } from '../model/tls.ts';
import { compileRbac } from './rbac.ts';
import { connection, meshConnection, type RequestOptions, request } from './testing/request.ts';

const match = (kind: StringMatchSpec['kind'], value: string): StringMatchSpec => ({ kind, value, ignoreCase: false });
const rules = (action: RbacSpec['action'], permission: PermissionSpec): RbacSpec => ({
  action,
  policies: [{ name: 'p', permissions: [permission], principals: [{ kind: 'any' }] }],
});
const header = (name: string, value: StringMatchSpec, invert = false): PermissionSpec => ({
  kind: 'header',
  header: { name, match: { kind: 'string', value }, invert, treatMissingAsEmpty: false },
});
const passes = (spec: RbacSpec, of: RequestOptions): boolean => compileRbac(spec).check(request(of)).allowed;

test('path bypass (CVE-2021-31920, CVE-2021-29492, CVE-2021-39156, CVE-2020-8595)', (t) => {
  const deny = rules('deny', { kind: 'url_path', path: match('prefix', '/admin') });
  const rulesOfPaths = { normalizePath: true, mergeSlashes: true, escapedSlashes: 'forward' } as const;
  const sent = [
    '/admin',
    '//admin',
    '/%2Fadmin',
    '/%2fadmin',
    '/x/../admin',
    '/x/..%2fadmin',
    '/%61dmin',
    '/.//admin',
    '/\\admin',
    '/admin?x',
    '/admin#x',
    '/admin/',
  ];
  for (const path of sent) {
    const normal = normalizePath(path, rulesOfPaths);
    if (normal.kind !== 'path') continue;
    t.false(passes(deny, { path: normal.path }), `${path} as ${normal.path}`);
  }
  const same = normalizePath('/x/%5C../admin', rulesOfPaths);
  t.true(same.kind === 'path', 'policy and upstream see this one text');
});

test('the query is no part of a path', (t) => {
  const allow = rules('allow', { kind: 'url_path', path: match('suffix', '/public') });
  t.false(passes(allow, { path: '/admin?x=/public' }));
  t.false(passes(allow, { path: '/admin#/public' }));
  t.true(passes(allow, { path: '/public?x' }));
});

test('host bypass (CVE-2021-39155)', (t) => {
  for (const name of [':authority', 'host']) {
    const deny = rules('deny', header(name, match('exact', 'secret.com')));
    for (const authority of [
      'secret.com',
      'Secret.COM',
      'secret.com:80',
      'secret.com.',
      'SECRET.com.:8443',
      'secret.com:',
    ]) {
      t.false(passes(deny, { authority }), authority);
    }
    t.true(passes(deny, { authority: 'secret.com.evil.test' }));
    t.true(passes(deny, { authority: 'xsecret.com' }));
  }
});

test('host rules go round with `not`, with ports and with suffixes', (t) => {
  const onlyApi = rules('deny', header(':authority', match('suffix', '.api.test'), true));
  t.true(passes(onlyApi, { authority: 'a.API.test:8080' }));
  t.false(passes(onlyApi, { authority: 'a.other.test' }));
  const withPort = rules('allow', header(':authority', match('exact', 'a.test:8080')));
  t.true(passes(withPort, { authority: 'A.test:8080' }));
  t.false(passes(withPort, { authority: 'a.test:8081' }));
  const literal = rules('deny', header(':authority', match('exact', '[::1]')));
  t.false(passes(literal, { authority: '[::1]:80' }));
});

test('multi-value header (CVE-2021-32777, CVE-2026-26308): DENY fires on any value', (t) => {
  const deny = rules('deny', header('x-role', match('exact', 'admin')));
  const of = (...values: readonly string[]): RequestOptions => ({ headers: values.map((v) => ['x-role', v] as const) });
  t.false(passes(deny, of('admin')));
  t.false(passes(deny, of('user', 'admin')));
  t.false(passes(deny, of('admin', 'user')));
  t.true(passes(deny, of('user')));
  const denyOthers = rules('deny', header('x-role', match('exact', 'user'), true));
  t.false(passes(denyOthers, of('user', 'admin')));
  t.true(passes(denyOthers, of('user')));
  const denyNot = rules('deny', { kind: 'not', of: header('x-role', match('exact', 'user')) });
  t.false(passes(denyNot, of('user', 'admin')));
  t.false(passes(denyNot, {}));
  t.true(passes(denyNot, of('user')));
});

test('multi-value header: ALLOW wants every value to fit', (t) => {
  const allow = rules('allow', header('x-role', match('exact', 'admin')));
  const two: RequestOptions = {
    headers: [
      ['x-role', 'user'],
      ['x-role', 'admin'],
    ],
  };
  t.false(passes(allow, two));
  t.true(passes(allow, { headers: [['x-role', 'admin']] }));
  t.false(passes(rules('allow', { kind: 'not', of: header('x-role', match('exact', 'user')) }), two));
});

test('identity regex (CVE-2026-39350): a dot in a name is a dot', (t) => {
  const rbac = compileRbac({
    action: 'allow',
    policies: [
      {
        name: 'p',
        permissions: [{ kind: 'any' }],
        principals: [{ kind: 'authenticated', name: match('exact', 'spiffe://td/ns/n/sa/a.b') }],
      },
    ],
  });
  t.false(rbac.check(request({ connection: meshConnection('spiffe://td/ns/n/sa/axb') })).allowed);
});

test('an IPv4-mapped address is the IPv4 address', (t) => {
  const rbac = compileRbac({
    action: 'deny',
    policies: [
      { name: 'p', permissions: [{ kind: 'any' }], principals: [{ kind: 'direct_remote_ip', cidr: '10.0.0.0/8' }] },
    ],
  });
  t.false(rbac.checkConnection(connection({ remoteIp: '::ffff:10.1.1.1' })).allowed);
});

test('regex bombs: a hostile path costs linear time', (t) => {
  const deny = rules('deny', { kind: 'url_path', path: match('regex', '(/[a-z]*)*x') });
  const before = performance.now();
  t.true(passes(deny, { path: '/a'.repeat(15_000) }));
  t.true(performance.now() - before < 2000);
});
