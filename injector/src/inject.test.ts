import { applyPatch } from '@chainmail/kube';
import { type AppProbes, parseAppProbes } from '@chainmail/runtime';
import test from 'ava';
import { type Injection, inject } from './inject.ts';
import type { Container, Pod } from './pod.ts';
import { defaultValues } from './values.ts';

const shop = { name: 'shop', labels: { 'chainmail.dev/inject': 'enabled' } };

function podOf(
  container: Partial<Container> = {},
  spec: Partial<Pod['spec']> = {},
  annotations?: Record<string, string>,
): Pod {
  const metadata = annotations === undefined ? {} : { annotations };
  return { metadata, spec: { containers: [{ name: 'web', image: 'web:1', ...container }], ...spec } };
}

function injected(pod: Pod, namespace = shop): Pod {
  const result = inject(pod, namespace, defaultValues);
  if (result.decision.kind !== 'inject') throw new Error(result.decision.reason);
  return applyPatch(pod, result.patch) as Pod;
}

function container(pod: Pod, name: string): Container {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const found = all.find((c) => c.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
}

function envOf(pod: Pod): ReadonlyMap<string, unknown> {
  const env = container(pod, 'mesh-agent')['env'] as { name: string; value?: string; valueFrom?: unknown }[];
  return new Map(env.map((e) => [e.name, e.value ?? e.valueFrom]));
}

function appProbes(pod: Pod): AppProbes {
  return parseAppProbes(String(envOf(pod).get('CHAINMAIL_APP_PROBES')));
}

const refusal = (result: Injection): string => (result.decision.kind === 'deny' ? result.decision.reason : '');

test('mesh-init and the agent come first, before the init containers of the user', (t) => {
  const pod = injected(podOf({}, { initContainers: [{ name: 'migrate' }] }));
  t.deepEqual(
    pod.spec.initContainers?.map((c) => c.name),
    ['mesh-init', 'mesh-agent', 'migrate'],
  );
  t.deepEqual(
    pod.spec.containers.map((c) => c.name),
    ['web'],
  );
  t.is(container(pod, 'mesh-agent')['restartPolicy'], 'Always');
  t.is(container(pod, 'mesh-init')['restartPolicy'], undefined);
});

test('without native sidecars the agent is the first container and holds the others back', (t) => {
  const values = { ...defaultValues, nativeSidecar: false };
  const pod = podOf({}, { initContainers: [{ name: 'migrate' }], restartPolicy: 'OnFailure' });
  const result = inject(pod, shop, values);
  const after = applyPatch(pod, result.patch) as Pod;
  t.deepEqual(
    after.spec.initContainers?.map((c) => c.name),
    ['migrate', 'mesh-init'],
  );
  t.deepEqual(
    after.spec.containers.map((c) => c.name),
    ['mesh-agent', 'web'],
  );
  const agent = container(after, 'mesh-agent');
  t.is(agent['restartPolicy'], undefined);
  t.deepEqual(agent.lifecycle?.postStart?.['exec'], { command: ['chainmail-agent', 'wait'] });
  t.regex(result.report.warnings.join('\n'), /does not complete.*\n.*init containers run outside of the mesh/);
});

test('the agent is told what interception leaves alone', (t) => {
  const annotations = {
    'chainmail.dev/exclude-outbound-ports': '9042, 7000',
    'chainmail.dev/exclude-outbound-cidrs': '10.9.0.0/16',
  };
  t.is(
    envOf(injected(podOf({}, {}, annotations))).get('CHAINMAIL_EXCLUSIONS'),
    '--exclude-outbound-ports 7000,9042 --exclude-outbound-cidrs 10.9.0.0/16',
  );
  t.false(envOf(injected(podOf())).has('CHAINMAIL_EXCLUSIONS'));
});

test('the init step has two capabilities and nothing else, also where the pod runs as non-root', (t) => {
  t.deepEqual(
    container(injected(podOf({}, { securityContext: { runAsNonRoot: true } })), 'mesh-init').securityContext,
    {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      seccompProfile: { type: 'RuntimeDefault' },
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
    },
  );
});

test('the agent has no rights at all, whatever the application has', (t) => {
  const pod = injected(podOf({ securityContext: { capabilities: { add: ['SYS_ADMIN'] }, privileged: true } }));
  t.deepEqual(container(pod, 'mesh-agent').securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
    runAsNonRoot: true,
    runAsUser: 1337,
    runAsGroup: 1337,
    capabilities: { drop: ['ALL'] },
  });
});

test('start and readiness probes ask the health port', (t) => {
  const agent = container(injected(podOf()), 'mesh-agent');
  t.like(agent.startupProbe, { httpGet: { path: '/ready', port: 15021 }, periodSeconds: 1 });
  t.like(agent.readinessProbe, { httpGet: { path: '/ready', port: 15021 } });
});

test('the token has our audience and lives at least 600 s, in a volume only the agent mounts', (t) => {
  const pod = injected(podOf({}, { automountServiceAccountToken: false }));
  t.deepEqual(pod.spec.volumes?.[0], {
    name: 'chainmail-token',
    projected: {
      sources: [{ serviceAccountToken: { audience: 'chainmail-ca', expirationSeconds: 3600, path: 'token' } }],
      defaultMode: 420,
    },
  });
  t.deepEqual(
    container(pod, 'mesh-agent').volumeMounts?.map((m) => [m.name, m['mountPath'], m['subPath']]),
    [
      ['chainmail-token', '/var/run/secrets/chainmail', undefined],
      ['chainmail-bundle', '/var/run/chainmail/bundle', undefined],
      ['chainmail-state', '/var/run/chainmail/state', undefined],
      ['chainmail-podinfo', '/var/run/chainmail/podinfo', undefined],
    ],
  );
  t.is(container(pod, 'web').volumeMounts, undefined);
  t.is(container(pod, 'mesh-init').volumeMounts, undefined);
  t.is(pod.spec['automountServiceAccountToken'], false);
});

test('bundle from a ConfigMap, state in memory, labels and annotations as files', (t) => {
  t.like(injected(podOf()).spec.volumes?.slice(1), {
    0: { name: 'chainmail-bundle', configMap: { name: 'chainmail-trust-bundle' } },
    1: { name: 'chainmail-state', emptyDir: { medium: 'Memory' } },
    2: { name: 'chainmail-podinfo', downwardAPI: { items: [{ path: 'labels' }, { path: 'annotations' }] } },
  });
});

test('the agent learns who it is from the downward API and the rest from the values', (t) => {
  const env = envOf(injected(podOf({}, { terminationGracePeriodSeconds: 60 })));
  t.deepEqual(env.get('POD_NAMESPACE'), { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } });
  t.deepEqual(env.get('SERVICE_ACCOUNT'), { fieldRef: { apiVersion: 'v1', fieldPath: 'spec.serviceAccountName' } });
  for (const name of ['POD_NAME', 'POD_UID', 'POD_IP', 'POD_IPS', 'NODE_NAME']) t.true(env.has(name));
  t.is(env.get('CHAINMAIL_TRUST_DOMAIN'), 'cluster.local');
  t.is(env.get('CHAINMAIL_CA_ADDRESS'), 'chainmail-ca.chainmail-system.svc:15013');
  t.is(env.get('CHAINMAIL_DRAIN_SECONDS'), '59');
});

test('annotations: the first container is the default one, unless the user chose', (t) => {
  const name = 'kubectl.kubernetes.io/default-container';
  t.is(injected(podOf()).metadata?.annotations?.[name], 'web');
  t.is(injected(podOf({}, {}, { [name]: 'other' })).metadata?.annotations?.[name], 'other');
});

test('HTTP probes move with path, headers, scheme and deadline; timing stays', (t) => {
  const pod = injected(
    podOf({
      ports: [{ name: 'http', containerPort: 8080 }],
      livenessProbe: {
        httpGet: { path: '/l', port: 'http', scheme: 'HTTPS', httpHeaders: [{ name: 'Host', value: 'x' }] },
        timeoutSeconds: 4,
        periodSeconds: 7,
      },
      readinessProbe: { httpGet: { port: '8081' } },
    }),
  );
  t.deepEqual(container(pod, 'web').livenessProbe, {
    httpGet: { path: '/app-health/web/livez', port: 15021, scheme: 'HTTP' },
    timeoutSeconds: 4,
    periodSeconds: 7,
  });
  t.deepEqual(appProbes(pod), {
    '/app-health/web/livez': {
      kind: 'httpGet',
      scheme: 'HTTPS',
      port: 8080,
      path: '/l',
      headers: [{ name: 'Host', value: 'x' }],
      timeoutMs: 4000,
    },
    '/app-health/web/readyz': { kind: 'httpGet', scheme: 'HTTP', port: 8081, path: '/', headers: [], timeoutMs: 1000 },
  });
});

test('tcp and grpc probes become HTTP probes of the agent', (t) => {
  const pod = injected(
    podOf({ startupProbe: { tcpSocket: { port: 5432 } }, livenessProbe: { grpc: { port: 9000, service: 'a.B' } } }),
  );
  t.deepEqual(container(pod, 'web').startupProbe, {
    httpGet: { path: '/app-health/web/startupz', port: 15021, scheme: 'HTTP' },
  });
  t.deepEqual(appProbes(pod), {
    '/app-health/web/startupz': { kind: 'tcpSocket', port: 5432, timeoutMs: 1000 },
    '/app-health/web/livez': { kind: 'grpc', port: 9000, service: 'a.B', timeoutMs: 1000 },
  });
});

test('lifecycle calls move too; exec and sleep stay', (t) => {
  const preStop = { exec: { command: ['true'] } };
  const pod = injected(podOf({ lifecycle: { postStart: { httpGet: { path: '/up', port: 80 } }, preStop } }));
  t.deepEqual(container(pod, 'web').lifecycle, {
    postStart: { httpGet: { path: '/app-health/web/poststart', port: 15021, scheme: 'HTTP' } },
    preStop,
  });
  t.like(appProbes(pod)['/app-health/web/poststart'], { kind: 'httpGet', port: 80, path: '/up' });
});

test('init containers and sidecars: a port name is looked up in its own container', (t) => {
  const sidecar = {
    name: 'cache',
    restartPolicy: 'Always',
    ports: [{ name: 'http', containerPort: 6000 }],
    readinessProbe: { tcpSocket: { port: 'http' } },
  };
  const pod = injected(
    podOf(
      { ports: [{ name: 'http', containerPort: 80 }], readinessProbe: { tcpSocket: { port: 'http' } } },
      { initContainers: [sidecar] },
    ),
  );
  t.like(appProbes(pod), { '/app-health/cache/readyz': { port: 6000 }, '/app-health/web/readyz': { port: 80 } });
  t.is(container(pod, 'cache').readinessProbe?.httpGet?.path, '/app-health/cache/readyz');
});

for (const [what, field, handler] of [
  ['exec', 'livenessProbe', { exec: { command: ['x'] } }],
  ['a probe of another host', 'livenessProbe', { httpGet: { host: 'example.org', port: 80 } }],
  ['an unknown port name', 'readinessProbe', { tcpSocket: { port: 'nope' } }],
] as const) {
  test(`a handler that stays: ${what}`, (t) => {
    const pod = injected(podOf({ [field]: handler }));
    t.deepEqual(container(pod, 'web')[field], handler);
    t.deepEqual(appProbes(pod), {});
  });
}

test('a handler that stays although it needs the network is in the report', (t) => {
  const { report } = inject(podOf({ readinessProbe: { tcpSocket: { port: 'nope' } } }), shop, defaultValues);
  t.regex(report.notes.join(), /container 'web': readinessProbe stays: port 'nope'/);
});

const refused: readonly (readonly [string, Pod, RegExp])[] = [
  [
    'uid 1337 in a container',
    podOf({ securityContext: { runAsUser: 1337 } }),
    /spec\.containers\[0\]\.securityContext\.runAsUser: .*'web'.*1337/,
  ],
  [
    'uid 1337 of the pod',
    podOf({}, { securityContext: { runAsUser: 1337 } }),
    /spec\.securityContext\.runAsUser: .*'web'/,
  ],
  [
    'uid 1337 in an init container',
    podOf({}, { initContainers: [{ name: 'i', securityContext: { runAsUser: 1337 } }] }),
    /spec\.initContainers\[0\]/,
  ],
  [
    'a reserved port',
    podOf({ ports: [{ containerPort: 15090 }] }),
    /spec\.containers\[0\]\.ports\[0\]\.containerPort: 15090 .*reserved/,
  ],
  ['the first reserved port', podOf({ ports: [{ containerPort: 15000 }] }), /15000/],
  ['a probe of a reserved port', podOf({ livenessProbe: { tcpSocket: { port: 15001 } } }), /livenessProbe: 15001/],
  [
    'a container named mesh-agent',
    podOf({ name: 'mesh-agent' }),
    /'mesh-agent' is the name of a container that injection adds/,
  ],
  [
    'an init container named mesh-init',
    podOf({}, { initContainers: [{ name: 'mesh-init' }] }),
    /spec\.initContainers\[0\]\.name/,
  ],
  ['a volume of our name', podOf({}, { volumes: [{ name: 'chainmail-state' }] }), /spec\.volumes\[0\]\.name/],
  [
    'a mount of our volume',
    podOf({ volumeMounts: [{ name: 'chainmail-token' }] }),
    /volumeMounts\[0\]\.name.*the agent's alone/,
  ],
  [
    'concurrency',
    podOf({}, {}, { 'chainmail.dev/concurrency': 'many' }),
    /annotation chainmail\.dev\/concurrency: 'many'/,
  ],
  ['log level', podOf({}, {}, { 'chainmail.dev/log-level': 'loud' }), /annotation chainmail\.dev\/log-level/],
  ['excluded ports', podOf({}, {}, { 'chainmail.dev/exclude-outbound-ports': '80,http' }), /'http' is not a port/],
  ['exclusion of an agent port', podOf({}, {}, { 'chainmail.dev/exclude-inbound-ports': '15006' }), /15006/],
  [
    'excluded CIDRs',
    podOf({}, {}, { 'chainmail.dev/exclude-outbound-cidrs': '10.0.0.1/8' }),
    /'10\.0\.0\.1\/8' has bits set/,
  ],
  ['DNS capture', podOf({}, {}, { 'chainmail.dev/capture-dns': 'yes' }), /capture-dns: 'yes' is neither enabled nor/],
  [
    'a resource',
    podOf({}, {}, { 'chainmail.dev/agent-cpu-limit': 'lots' }),
    /agent-cpu-limit: 'lots' is not a quantity/,
  ],
  [
    'a request above its limit',
    podOf({}, {}, { 'chainmail.dev/agent-memory-request': '2Gi', 'chainmail.dev/agent-memory-limit': '1Gi' }),
    /agent-memory-request: '2Gi' is above the limit 1Gi/,
  ],
  [
    'a status that is not ours',
    podOf({}, {}, { 'chainmail.dev/status': '{' }),
    /status annotation of injection is not JSON/,
  ],
  [
    'a status that would restore nonsense',
    podOf(
      {},
      {},
      {
        'chainmail.dev/status':
          '{"version":1,"initContainers":[],"volumes":[],"annotations":[],"created":{},"handlers":[{"list":"containers","container":"web","field":"livenessProbe","original":{"httpGet":1}}]}',
      },
    ),
    /holds no handler/,
  ],
];

for (const [what, pod, reason] of refused) {
  test(`refused with a reason: ${what}`, (t) => {
    const result = inject(pod, shop, defaultValues);
    t.regex(refusal(result), reason);
    t.deepEqual(result.patch, []);
    t.true(result.report.refusals.length > 0);
  });
}

test('all conflicts are named at once', (t) => {
  const result = inject(
    podOf({ ports: [{ containerPort: 15001 }], securityContext: { runAsUser: 1337 } }),
    shop,
    defaultValues,
  );
  t.is(result.report.refusals.length, 2);
});

for (const [what, pod, reason] of [
  ['nothing', undefined, /pod: must be an object/],
  ['no spec', {}, /spec: must be an object/],
  ['no containers', { spec: {} }, /spec\.containers: must be a list/],
  ['a container without a name', { spec: { containers: [{}] } }, /spec\.containers\[0\]\.name: must be a string/],
  [
    'labels of another type',
    { metadata: { labels: { a: true } }, spec: { containers: [] } },
    /metadata\.labels\["a"\]/,
  ],
  [
    'a probe port of another type',
    { spec: { containers: [{ name: 'a', livenessProbe: { tcpSocket: { port: {} } } }] } },
    /livenessProbe\.tcpSocket\.port/,
  ],
] as const) {
  test(`a shape that cannot be read is refused: ${what}`, (t) => {
    t.regex(refusal(inject(pod, shop, defaultValues)), reason);
  });
}

test('a forged status does not keep a pod out of the mesh', (t) => {
  const status =
    '{"version":1,"initContainers":["mesh-init","mesh-agent"],"volumes":[],"annotations":[],"created":{},"handlers":[]}';
  const pod = injected(podOf({}, {}, { 'chainmail.dev/status': status }));
  t.deepEqual(
    pod.spec.initContainers?.map((c) => c.name),
    ['mesh-init', 'mesh-agent'],
  );
});

test('a forged status cannot take away what is not ours', (t) => {
  const status =
    '{"version":1,"initContainers":["check"],"volumes":["data"],"annotations":[],"created":{},"handlers":[]}';
  const pod = injected(
    podOf({}, { initContainers: [{ name: 'check' }], volumes: [{ name: 'data' }] }, { 'chainmail.dev/status': status }),
  );
  t.true(pod.spec.initContainers?.some((c) => c.name === 'check'));
  t.true(pod.spec.volumes?.some((v) => v.name === 'data'));
});

test('annotations of the pod change its agent', (t) => {
  const pod = injected(
    podOf(
      {},
      {},
      {
        'chainmail.dev/concurrency': '4',
        'chainmail.dev/log-level': 'debug',
        'chainmail.dev/exclude-inbound-ports': '9100, 22',
        'chainmail.dev/exclude-outbound-ports': '25',
        'chainmail.dev/exclude-outbound-cidrs': '10.0.0.0/8,fd00::/8',
        'chainmail.dev/capture-dns': 'enabled',
      },
    ),
  );
  t.is(envOf(pod).get('CHAINMAIL_CONCURRENCY'), '4');
  t.is(envOf(pod).get('CHAINMAIL_LOG_LEVEL'), 'debug');
  t.deepEqual(container(pod, 'mesh-init')['args'], [
    'init',
    '--exclude-inbound-ports',
    '22,9100',
    '--exclude-outbound-ports',
    '25',
    '--exclude-outbound-cidrs',
    '10.0.0.0/8,fd00::/8',
    '--capture-dns',
  ]);
});

const guaranteed = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1024Mi' } };

test('resources: defaults; the side that was not asked for moves', (t) => {
  t.deepEqual(container(injected(podOf()), 'mesh-agent').resources, defaultValues.resources);
  const more = injected(
    podOf({}, {}, { 'chainmail.dev/agent-cpu-request': '2', 'chainmail.dev/agent-memory-limit': '32Mi' }),
  );
  t.deepEqual(container(more, 'mesh-agent').resources, {
    requests: { cpu: '2', memory: '32Mi' },
    limits: { cpu: '2', memory: '32Mi' },
  });
});

test('a Guaranteed pod stays Guaranteed', (t) => {
  const pod = injected(podOf({ resources: guaranteed }));
  for (const name of ['mesh-init', 'mesh-agent']) {
    const { requests, limits } = container(pod, name).resources ?? {};
    t.deepEqual(requests, limits);
    t.truthy(limits?.['cpu'] && limits['memory']);
  }
  const burstable = injected(
    podOf({ resources: { limits: guaranteed.limits, requests: { cpu: '1', memory: '1Mi' } } }),
  );
  t.notDeepEqual(
    container(burstable, 'mesh-agent').resources?.requests,
    container(burstable, 'mesh-agent').resources?.limits,
  );
});

test('a pod with resources as a whole shares them with its agent', (t) => {
  t.deepEqual(container(injected(podOf({}, { resources: guaranteed })), 'mesh-agent').resources, {});
});

test('a namespace whose Pod Security level refuses mesh-init is warned about', (t) => {
  const at = (level: string) => ({
    name: 'shop',
    labels: { ...shop.labels, 'pod-security.kubernetes.io/enforce': level },
  });
  t.regex(inject(podOf(), at('baseline'), defaultValues).report.warnings.join(), /'baseline'.*NET_ADMIN/);
  t.is(inject(podOf(), at('restricted'), defaultValues).report.warnings.length, 1);
  t.deepEqual(inject(podOf(), at('privileged'), defaultValues).report.warnings, []);
});

test('a container that another webhook added after us is taken in', (t) => {
  const first = injected(podOf());
  const added: Container = { name: 'late', livenessProbe: { tcpSocket: { port: 7000 } } };
  const changed = { ...first, spec: { ...first.spec, containers: [...first.spec.containers, added] } };
  const second = injected(changed);
  t.is(container(second, 'late').livenessProbe?.httpGet?.port, 15021);
  t.like(appProbes(second), { '/app-health/late/livez': { kind: 'tcpSocket', port: 7000 } });
  t.deepEqual(
    second.spec.initContainers?.map((c) => c.name),
    ['mesh-init', 'mesh-agent'],
  );
});
