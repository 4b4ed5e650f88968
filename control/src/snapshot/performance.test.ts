/** Not a benchmark: a bound far above what is measured, so that something quadratic is noticed, and numbers to read. */
import type { KnownObject } from '@chainmail/kube';
import test from 'ava';
import { buildWorld } from '../model/build-world.ts';
import { objectsOf } from '../testing/world-files.ts';
import { resourceTypes } from './piece.ts';
import { Translator } from './snapshot.ts';

const services = 1000;
const podsEach = 4;

function service(i: number): string {
  const ip = `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
  return `apiVersion: v1\nkind: Service\nmetadata: { name: s${i}, namespace: n${i % 20} }\nspec: { clusterIP: ${ip}, selector: { app: s${i} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }\n---\n`;
}

function pod(i: number, replica: number): string {
  const n = i * podsEach + replica;
  const ip = `10.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  return `apiVersion: v1\nkind: Pod\nmetadata: { name: s${i}-${replica}, namespace: n${i % 20}, labels: { app: s${i} } }\nspec: { serviceAccountName: s${i % 100}, initContainers: [{ name: mesh-agent }], containers: [{ name: app, ports: [{ containerPort: 8080 }] }] }\nstatus: { phase: Running, podIP: ${ip} }\n---\n`;
}

function elapsed(call: () => void): number {
  const from = performance.now();
  call();
  return performance.now() - from;
}

const size = (objects: readonly KnownObject[], change: boolean): KnownObject[] =>
  objects.map((o, i) =>
    change && i === 0
      ? ({ ...o, spec: { ...(o as { spec: object }).spec, clusterIP: '10.255.0.1' } } as KnownObject)
      : o,
  );

test('a thousand services are translated and encoded in a moment, and a small change is smaller', (t) => {
  const text = Array.from(
    { length: services },
    (_, i) => service(i) + [0, 1, 2, 3].map((r) => pod(i, r)).join(''),
  ).join('');
  const objects = objectsOf(text);
  let world = buildWorld('cluster.local', []);
  const build = elapsed(() => {
    world = buildWorld('cluster.local', objects);
  });
  const translator = new Translator(world, (p, reason) => t.fail(`${p.name}: ${reason}`));
  const of = (key: string) => {
    const found = translator.world.pods.get(key);
    if (found === undefined) throw new Error(key);
    return translator.snapshotFor(found, 'mesh');
  };
  const first = elapsed(() => of('n0/s0-0'));
  const made = translator.encodedTotal;
  const second = elapsed(() => of('n1/s1-0'));
  t.true(translator.encodedTotal - made <= 2, 'a second agent shares the bytes');
  const again = elapsed(() => {
    translator.update(buildWorld('cluster.local', size(objects, true)));
    of('n0/s0-0');
  });
  const snapshot = of('n0/s0-0');
  const bytes = resourceTypes.map((type) => [...snapshot.all(type)].reduce((n, e) => n + e.resource.length, 0));
  const ms = (n: number): string => `${n.toFixed(0)} ms`;
  t.log(
    `${services} services, ${services * podsEach} pods: world ${ms(build)}, first agent ${ms(first)}, second ${ms(second)}, after one change ${ms(again)}`,
  );
  t.log(
    `bytes: ${resourceTypes.map((type, i) => `${type} ${bytes[i]}`).join(', ')}; ${made} resources encoded, ${translator.encodedTotal - made} after the change`,
  );
  t.true(translator.encodedTotal - made < 10);
  t.true(first < 20_000 && again < 10_000);
});
