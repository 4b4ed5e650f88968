import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { buildWorld } from '../model/build-world.ts';
import { Reporter } from '../serve/reporter.ts';
import { ObjectStore } from '../store/object-store.ts';
import { catalogPolicy, shop, TextSource } from '../testing/world-files.ts';
import { Fleet } from '../xds/fleet.ts';
import { StatusDir } from './status-dir.ts';

interface Written {
  readonly status: {
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
      readonly line?: number;
    }[];
  };
}

function setUp(t: ExecutionContext, files: Readonly<Record<string, string>>) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-status-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  const clock = new ManualClock();
  const fleet = new Fleet(buildWorld('cluster.local', []), silentLogger, () => {});
  const reporter = new Reporter(() => fleet, new StatusDir(dir, silentLogger), clock, silentLogger);
  const store = new ObjectStore();
  const source = new TextSource(files);
  source.start((loaded) => {
    const state = store.apply(loaded);
    fleet.publish(buildWorld('cluster.local', state.objects, state.broken));
    reporter.take(state, fleet.revision);
    clock.advance(1000);
  });
  const condition = (name: string, type = 'Accepted') => {
    const file = parse(fs.readFileSync(path.join(dir, `${name}.yaml`), 'utf8')) as Written;
    return file.status.conditions.find((c) => c.type === type);
  };
  return { dir, source, condition };
}

const policy = 'SecurityPolicy.shop.catalog-readers';

test('one file for each policy, with where it stands and what became of it', (t) => {
  const { dir, source, condition } = setUp(t, { 'shop.yaml': shop, 'p.yaml': catalogPolicy });
  t.deepEqual(fs.readdirSync(dir), [`${policy}.yaml`]);
  t.is(condition(policy)?.status, 'True');
  source.put('p.yaml', catalogPolicy.replace('action: Allow', 'action: Alow'));
  t.is(condition(policy)?.reason, 'Invalid');
  t.is(condition(policy)?.line, 10);
  t.regex(condition(policy)?.message ?? '', /write Allow or Deny; its last good state stays in force/);
  source.remove('p.yaml');
  t.deepEqual(fs.readdirSync(dir), []);
});

test('a target that does not exist, and a second policy on one target', (t) => {
  const second = catalogPolicy.replace('name: catalog-readers', 'name: second');
  const lost = catalogPolicy
    .replace('name: catalog-readers', 'name: lost')
    .replace('name: catalog }', 'name: nothing }');
  const { condition } = setUp(t, { 'shop.yaml': shop, 'p.yaml': catalogPolicy, 'q.yaml': second, 'r.yaml': lost });
  t.is(condition('SecurityPolicy.shop.second')?.reason, 'Conflicted');
  t.regex(condition('SecurityPolicy.shop.second')?.message ?? '', /SecurityPolicy shop\/catalog-readers/);
  t.is(condition('SecurityPolicy.shop.lost')?.reason, 'TargetNotFound');
});

test('a policy about requests says where it cannot see any', (t) => {
  const wide = catalogPolicy.replace(/ {2}targetRefs.*\n/, '');
  const { condition } = setUp(t, { 'shop.yaml': shop, 'p.yaml': wide });
  t.is(condition(policy)?.status, 'True');
  t.regex(condition(policy)?.message ?? '', /opaque ports \(shop\/db:5432\)/);
});

test('a route to a backend that does not exist', (t) => {
  const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: shop }
spec:
  parentRefs: [{ kind: Service, group: "", name: catalog }]
  rules: [{ backendRefs: [{ name: nobody, port: 80 }] }]
`;
  const { condition } = setUp(t, { 'shop.yaml': shop, 'r.yaml': route });
  t.is(condition('HTTPRoute.shop.r', 'ResolvedRefs')?.reason, 'BackendNotFound');
});

test('statuses of objects that went while nobody looked are removed', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-status-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  fs.writeFileSync(path.join(dir, 'MeshPolicy.shop.old.yaml'), 'x');
  fs.writeFileSync(path.join(dir, 'notes.txt'), 'mine');
  new StatusDir(dir, silentLogger).write(new Map([['MeshPolicy.shop.new', { a: 1 }]]));
  t.deepEqual(fs.readdirSync(dir).sort(), ['MeshPolicy.shop.new.yaml', 'notes.txt']);
});
