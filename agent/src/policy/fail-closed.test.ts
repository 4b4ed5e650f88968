/**
 * The promise of subject.ts over random rules: what cannot be known never lets in what some truth would keep out. A
 * caller gains nothing by hiding its HTTP, its identity, or one header value behind another.
 */
import test from 'ava';
import fc from 'fast-check';
import type { HeaderMatchSpec } from '../model/http.ts';
import type { PermissionSpec, PrincipalSpec, RbacSpec } from '../model/rbac.ts';
import { compileRbac } from './rbac.ts';
import { connection, meshConnection, request } from './testing/request.ts';

const values = fc.constantFrom('a', 'b', 'c');
const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;

const header: fc.Arbitrary<HeaderMatchSpec> = fc.oneof(
  fc
    .record({ value: values, invert: fc.boolean(), treatMissingAsEmpty: fc.boolean() })
    .map(({ value, ...rest }) => ({ name: 'x-h', match: { kind: 'string', value: exact(value) } as const, ...rest })),
  fc.record({ present: fc.boolean(), invert: fc.boolean() }).map(({ present, invert }) => ({
    name: 'x-h',
    match: { kind: 'present', present } as const,
    invert,
    treatMissingAsEmpty: false,
  })),
);

/** A rule tree over leaves; both kinds of rules have the same branches. */
function tree<T>(leaf: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.letrec<{ node: T }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc
        .record({
          kind: fc.constantFrom('and', 'or'),
          of: fc.array(tie('node'), { minLength: 1, maxLength: 3 }),
        })
        .map((branch) => branch as T),
      tie('node').map((of) => ({ kind: 'not', of }) as T),
    ),
  })).node;
}

const permission = tree<PermissionSpec>(
  fc.oneof(
    fc.constant<PermissionSpec>({ kind: 'any' }),
    header.map((h): PermissionSpec => ({ kind: 'header', header: h })),
    values.map((v): PermissionSpec => ({ kind: 'url_path', path: exact(`/${v}`) })),
    fc.constant<PermissionSpec>({ kind: 'destination_port', start: 8080, end: 8081 }),
  ),
);
const principal = tree<PrincipalSpec>(
  fc.oneof(
    fc.constant<PrincipalSpec>({ kind: 'any' }),
    values.map((v): PrincipalSpec => ({ kind: 'authenticated', name: exact(v) })),
    header.map((h): PrincipalSpec => ({ kind: 'header', header: h })),
    fc.constant<PrincipalSpec>({ kind: 'direct_remote_ip', cidr: '10.0.0.0/8' }),
  ),
);
function rules(actions: readonly RbacSpec['action'][]): fc.Arbitrary<RbacSpec> {
  const policy = fc.record({
    permissions: fc.array(permission, { minLength: 1, maxLength: 2 }),
    principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
  });
  return fc.record({
    action: fc.constantFrom(...actions),
    policies: fc
      .array(policy, { minLength: 1, maxLength: 2 })
      .map((list) => list.map((p, i) => ({ name: `p${i}`, ...p }))),
  });
}

const headers = fc.array(values, { maxLength: 3 });
const path = values.map((v) => `/${v}`);
const of = (list: readonly string[]) => list.map((v) => ['x-h', v] as const);
const numRuns = 3000;

test('what a bare connection may do, every request on it might do', (t) => {
  fc.assert(
    fc.property(rules(['allow', 'deny']), values, headers, path, (spec, caller, list, p) => {
      const rbac = compileRbac(spec);
      const info = meshConnection(caller);
      const all = rbac.checkConnection(info).allowed;
      return !all || rbac.check(request({ connection: info, headers: of(list), path: p })).allowed;
    }),
    { numRuns },
  );
  t.pass();
});

test('what ALLOW lets plaintext do, every named caller might do', (t) => {
  fc.assert(
    fc.property(rules(['allow']), values, headers, path, (spec, caller, list, p) => {
      const rbac = compileRbac(spec);
      const of2 = { headers: of(list), path: p };
      const plaintext = rbac.check(request({ ...of2, connection: connection() })).allowed;
      return !plaintext || rbac.check(request({ ...of2, connection: meshConnection(caller) })).allowed;
    }),
    { numRuns },
  );
  t.pass();
});

test('what a request with several values of a header may do, it might do with each of them alone', (t) => {
  fc.assert(
    fc.property(
      rules(['allow', 'deny']),
      values,
      fc.array(values, { minLength: 1, maxLength: 3 }),
      path,
      (spec, caller, list, p) => {
        const rbac = compileRbac(spec);
        const check = (some: readonly string[]): boolean =>
          rbac.check(request({ connection: meshConnection(caller), headers: of(some), path: p })).allowed;
        return !check(list) || list.every((value) => check([value]));
      },
    ),
    { numRuns },
  );
  t.pass();
});
