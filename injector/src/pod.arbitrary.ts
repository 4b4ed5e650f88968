/** Pods for property tests: every field that injection reads, the ones it must not touch, and some it has never heard of. */
import fc from 'fast-check';
import type { Pod } from './pod.ts';

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

export const pods = fc.record(
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
