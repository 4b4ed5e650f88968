/** Over generated pods: a second injection changes nothing, taking it out leaves nothing, and what is not ours stays. */
import test from 'ava';
import fc from 'fast-check';
import { inject } from './inject.ts';
import { applyPatch } from './json-patch.ts';
import type { Container, Pod } from './pod.ts';
import { uninject } from './uninject.ts';
import { defaultValues } from './values.ts';

const shop = { name: 'shop', labels: { 'chainmail.dev/inject': 'enabled' } };

const port = fc.integer({ min: 1, max: 14_999 });
const portReference = fc.oneof(port, fc.constantFrom('http', 'missing', '8080'));
const timing = fc.record(
  { periodSeconds: fc.nat(60), timeoutSeconds: fc.integer({ min: 1, max: 60 }), failureThreshold: fc.nat(9) },
  { requiredKeys: [] },
);
const call = fc.oneof(
  fc.record({ exec: fc.constant({ command: ['true'] }) }),
  fc.record({
    httpGet: fc.record(
      {
        path: fc.constantFrom('/', '/healthz?x=1', ''),
        port: portReference,
        scheme: fc.constantFrom('HTTP', 'HTTPS'),
        host: fc.constantFrom('', 'elsewhere'),
        httpHeaders: fc.constant([{ name: 'X', value: 'y' }]),
      },
      { requiredKeys: ['port'] },
    ),
  }),
  fc.record({ tcpSocket: fc.record({ port: portReference }) }),
  fc.record({
    grpc: fc.record({ port, service: fc.string({ unit: 'grapheme-ascii', maxLength: 5 }) }, { requiredKeys: ['port'] }),
  }),
);
const probe = fc
  .tuple(timing, call, fc.boolean())
  .map(([t, c, callFirst]) => (callFirst ? { ...c, ...t } : { ...t, ...c }));
const quantities = fc.record(
  { cpu: fc.constantFrom('1', '500m'), memory: fc.constantFrom('1Gi', '64Mi') },
  { requiredKeys: [] },
);

const container = (names: readonly string[]) =>
  fc.record(
    {
      name: fc.constantFrom(...names),
      image: fc.constant('app:1'),
      command: fc.constant(['run']),
      env: fc.constant([{ name: 'A', value: 'b' }]),
      ports: fc.constant([{ name: 'http', containerPort: 8080 }]),
      resources: fc.record({ requests: quantities, limits: quantities }, { requiredKeys: [] }),
      securityContext: fc.record({ runAsUser: fc.constantFrom(0, 1000) }, { requiredKeys: [] }),
      livenessProbe: probe,
      readinessProbe: probe,
      startupProbe: probe,
      lifecycle: fc.record({ postStart: call, preStop: call }, { requiredKeys: [] }),
      volumeMounts: fc.constant([{ name: 'data', mountPath: '/data' }]),
      unknownField: fc.jsonValue({ maxDepth: 1 }),
    },
    { requiredKeys: ['name'] },
  );
const containersOf = (names: readonly string[], minLength: number) =>
  fc.uniqueArray(container(names), { selector: (c) => c.name, minLength, maxLength: 3 });
const texts = fc.dictionary(
  fc.constantFrom('app', 'a/b', 'kubectl.kubernetes.io/default-container', 'c~d'),
  fc.constantFrom('web', ''),
  {
    noNullPrototype: true,
  },
);
const orNull = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: fc.constant(null) });

const pods = fc.record(
  {
    metadata: fc.record(
      { name: fc.constant('p'), labels: texts, annotations: orNull(texts), finalizers: fc.constant(['x/y']) },
      { requiredKeys: [] },
    ),
    spec: fc.record(
      {
        containers: containersOf(['web', 'db', 'log'], 1),
        initContainers: orNull(containersOf(['setup', 'cache'], 0)),
        volumes: orNull(fc.constantFrom([], [{ name: 'data', emptyDir: {} }])),
        serviceAccountName: fc.constant('sa'),
        restartPolicy: fc.constantFrom('Always', 'Never'),
        securityContext: fc.constant({ fsGroup: 5 }),
        terminationGracePeriodSeconds: fc.nat(100),
      },
      { requiredKeys: ['containers'] },
    ),
    status: fc.constant({ phase: 'Pending' }),
  },
  { requiredKeys: ['spec'] },
) as unknown as fc.Arbitrary<Pod>;

function injected(pod: Pod): Pod {
  const { decision, patch } = inject(pod, shop, defaultValues);
  if (decision.kind !== 'inject') throw new Error(decision.reason);
  return applyPatch(pod, patch) as Pod;
}

test('injecting twice changes nothing', (t) => {
  fc.assert(
    fc.property(pods, (pod) => {
      t.deepEqual(inject(injected(pod), shop, defaultValues).patch, []);
    }),
  );
});

test('taking it out gives the original', (t) => {
  fc.assert(
    fc.property(pods, (pod) => {
      const original = JSON.parse(JSON.stringify(pod)) as Pod;
      const { pod: back, patch } = uninject(injected(original));
      t.deepEqual(back, original);
      t.deepEqual(applyPatch(injected(original), patch), original);
    }),
  );
});

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
