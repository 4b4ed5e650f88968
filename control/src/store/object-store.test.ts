import { parseObjects } from '@chainmail/kube';
import test from 'ava';
import { catalogPolicy, shop } from '../testing/world-files.ts';
import { ObjectStore, type StoreState } from './object-store.ts';

function apply(store: ObjectStore, files: Readonly<Record<string, string>>): StoreState {
  const all = Object.entries(files).map(([name, text]) => parseObjects(text, name));
  return store.apply({ objects: all.flatMap((l) => l.objects), problems: all.flatMap((l) => l.problems) });
}

const policyIn = (s: StoreState) => s.objects.find((o) => o.kind === 'SecurityPolicy');
const recordIn = (s: StoreState) => s.records.find((r) => r.kind === 'SecurityPolicy');
const broken = catalogPolicy.replace('action: Allow', 'action: Alow');

test('a mistake keeps the last good state and says file, line and remedy', (t) => {
  const store = new ObjectStore();
  const good = apply(store, { 'p.yaml': catalogPolicy });
  const bad = apply(store, { 'p.yaml': broken });
  t.deepEqual(policyIn(bad), policyIn(good));
  t.true(recordIn(bad)?.keepsLastGood);
  t.deepEqual(recordIn(bad)?.problems, [
    {
      origin: { file: 'p.yaml', line: 10 },
      path: 'spec.authorization.rules[0].action',
      reason: 'spec.authorization.rules[0].action: "Alow" is not allowed here; write Allow or Deny',
    },
  ]);
  t.deepEqual(bad.broken, { security: [], mesh: [] });
  const mended = apply(store, { 'p.yaml': catalogPolicy });
  t.deepEqual(recordIn(mended)?.problems, []);
});

test('a folder that can no longer be read keeps the policies in it, and no others', (t) => {
  const store = new ObjectStore();
  apply(store, { '/etc/mesh/p.yaml': catalogPolicy, '/etc/mesh-old/shop.yaml': shop });
  const problems = [{ origin: { file: '/etc/mesh', line: 1 }, reason: 'the folder is not there' }];
  const state = store.apply({ objects: [], problems });
  t.deepEqual(
    state.objects.map((o) => o.kind),
    ['SecurityPolicy'],
  );
  t.true(recordIn(state)?.keepsLastGood);
});

test('a file that can no longer be read keeps its objects; a file that is gone does not', (t) => {
  const store = new ObjectStore();
  apply(store, { 'p.yaml': catalogPolicy, 'shop.yaml': shop });
  const unreadable = apply(store, { 'p.yaml': 'a: [\n', 'shop.yaml': shop });
  t.truthy(policyIn(unreadable));
  t.true(recordIn(unreadable)?.keepsLastGood);
  t.is(recordIn(unreadable)?.problems[0]?.origin.file, 'p.yaml');
  const gone = apply(store, { 'shop.yaml': shop });
  t.is(policyIn(gone), undefined);
  t.is(recordIn(gone), undefined);
});

test('a security policy that never was sound denies what it names, or its namespace', (t) => {
  t.deepEqual(apply(new ObjectStore(), { 'p.yaml': broken }).broken.security, [
    { namespace: 'shop', name: 'catalog-readers', services: ['catalog'] },
  ]);
  const wide = broken.replace(/ {2}targetRefs.*\n/, '');
  t.deepEqual(apply(new ObjectStore(), { 'p.yaml': wide }).broken.security[0]?.services, []);
});

test('the live text of an object goes before the one a user wrote, in either order', (t) => {
  const written =
    'apiVersion: v1\nkind: Service\nmetadata: { name: s, namespace: a }\nspec: { ports: [{ port: 80 }] }\n';
  const live = written.replace('{ ports', '{ clusterIP: 10.0.0.1, ports');
  for (const files of [
    { a: written, b: live },
    { a: live, b: written },
  ]) {
    const state = apply(new ObjectStore(), files);
    t.is(state.objects.length, 1);
    t.is((state.objects[0] as { spec: { clusterIP?: string } }).spec.clusterIP, '10.0.0.1');
  }
});

test('a policy that is written twice is said to be', (t) => {
  const state = apply(new ObjectStore(), { 'a.yaml': catalogPolicy, 'b.yaml': catalogPolicy });
  t.is(state.objects.length, 1);
  t.regex(recordIn(state)?.problems[0]?.reason ?? '', /also defined in b\.yaml:2/);
});

test('an object without a namespace stands in default; a foreign kind is passed over', (t) => {
  const text =
    'apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: x }\n---\napiVersion: batch/v1\nkind: Job\nmetadata: { name: j }\n';
  t.deepEqual(
    apply(new ObjectStore(), { f: text }).records.map((r) => r.key),
    ['ServiceAccount/default/x'],
  );
});

test('a MeshPolicy about authorization that was never sound denies; one about mTLS only leaves the default', (t) => {
  const policy = (spec: string): string =>
    `apiVersion: chainmail.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: m, namespace: shop }\nspec: ${spec}\n`;
  const meshOf = (spec: string) => apply(new ObjectStore(), { 'm.yaml': policy(spec) }).broken.mesh;
  t.deepEqual(meshOf('{ authorization: { default: dney } }'), [{ namespace: 'shop', name: 'm' }]);
  t.deepEqual(meshOf('{ mtls: { mode: STRIKT } }'), []);
  const store = new ObjectStore();
  apply(store, { 'm.yaml': policy('{ authorization: { default: allow-mesh } }') });
  t.deepEqual(apply(store, { 'm.yaml': policy('{ authorization: 5 }') }).broken.mesh, [], 'the last good state holds');
});
