/** Over generated pods: a second injection changes nothing, taking it out leaves nothing, and what is not ours stays. */
import { applyPatch, diff } from '@chainmail/kube';
import test from 'ava';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { inject } from './inject.ts';
import { injectText, uninjectText } from './inject-text.ts';
import { pods } from './pod.arbitrary.ts';
import type { Container, Pod } from './pod.ts';
import { uninject } from './uninject.ts';
import { defaultValues } from './values.ts';

const shop = { name: 'shop', labels: { 'chainmail.dev/inject': 'enabled' } };

function injected(pod: Pod): Pod {
  const { decision, patch } = inject(pod, shop, defaultValues);
  if (decision.kind !== 'inject') throw new Error(decision.reason);
  return applyPatch(pod, patch) as Pod;
}

/** Where the agent is a native sidecar, and where Kubernetes has none. */
const everywhere = [true, false].map((nativeSidecar) => ({ ...defaultValues, nativeSidecar }));

for (const values of everywhere) {
  const after = (pod: Pod): Pod => applyPatch(pod, inject(pod, shop, values).patch) as Pod;
  const how = values.nativeSidecar ? '' : ', without native sidecars';

  test(`injecting twice changes nothing${how}`, (t) => {
    fc.assert(
      fc.property(pods, (pod) => {
        t.deepEqual(inject(after(pod), shop, values).patch, []);
      }),
    );
  });

  test(`taking it out gives the original${how}`, (t) => {
    fc.assert(
      fc.property(pods, (pod) => {
        const original = JSON.parse(JSON.stringify(pod)) as Pod;
        const { pod: back, patch } = uninject(after(original));
        t.deepEqual(back, original);
        t.deepEqual(applyPatch(after(original), patch), original);
      }),
    );
  });
}

const handlers = ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'];
const withoutHandlers = (c: Container) =>
  Object.fromEntries(Object.entries(c).filter(([key]) => !handlers.includes(key)));

test('what is not ours stays as it was, and first come our containers, last our volumes', (t) => {
  fc.assert(
    fc.property(pods, (pod) => {
      const after = injected(pod);
      const { containers, initContainers, volumes, ...spec } = pod.spec;
      const {
        containers: containersNow,
        initContainers: initNow = [],
        volumes: volumesNow = [],
        ...specNow
      } = after.spec;
      t.deepEqual(specNow, spec);
      t.deepEqual(containersNow.map(withoutHandlers), containers.map(withoutHandlers));
      t.deepEqual(initNow.slice(2).map(withoutHandlers), (initContainers ?? []).map(withoutHandlers));
      t.deepEqual(volumesNow.slice(0, -4), volumes ?? []);
      const { annotations, ...metadata } = pod.metadata ?? {};
      const { annotations: annotationsNow, ...metadataNow } = after.metadata ?? {};
      t.deepEqual(metadataNow, metadata);
      t.deepEqual({ ...annotationsNow, ...annotations }, annotationsNow);
    }),
  );
});

test('no probe of an injected pod asks the application past the agent', (t) => {
  fc.assert(
    fc.property(pods, (pod) => {
      for (const c of injected(pod).spec.containers) {
        for (const p of [c.livenessProbe, c.readinessProbe, c.startupProbe]) {
          const reference = p?.tcpSocket?.port ?? p?.grpc?.port ?? (p?.httpGet?.host ? undefined : p?.httpGet?.port);
          t.true(reference === undefined || reference === 15021 || isUnresolvable(reference, c));
        }
      }
    }),
  );
});

function isUnresolvable(reference: string | number, c: Container): boolean {
  return reference === 'missing' || (reference === 'http' && c.ports === undefined);
}

test('the same as text: injected as the object is, and taken out again', (t) => {
  fc.assert(
    fc.property(pods, fc.boolean(), (pod, asJson) => {
      const object = JSON.parse(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod })) as Pod;
      const text = asJson ? JSON.stringify(object, null, 2) : stringify(object);
      const { text: out } = injectText(text, { values: defaultValues });
      t.deepEqual(parse(out), injected(object));
      t.deepEqual(parse(uninjectText(out).text), object);
      t.is(injectText(out, { values: defaultValues }).text, out);
    }),
  );
});

const named = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), v: fc.jsonValue({ maxDepth: 1 }) }),
  {
    selector: (i) => i.name,
  },
);
const anyJson = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.dictionary(fc.constantFrom('a', 'b/c', 'd~', ''), fc.oneof(named, fc.jsonValue({ maxDepth: 2 })), {
    noNullPrototype: true,
  }),
);
const comparable = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('property: the difference applied gives the target', (t) => {
  fc.assert(
    fc.property(anyJson, anyJson, (a, b) => {
      const [before, after] = [comparable(a), comparable(b)];
      t.deepEqual(applyPatch(before, diff(before, after)), after);
    }),
  );
});
