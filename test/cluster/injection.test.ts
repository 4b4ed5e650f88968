/** Decisions, changes and refusals of injection, each through the API server's own admission chain (a dry run creates nothing). */
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { containers, system, volumes } from '@chainmail/runtime';
import test from 'ava';
import { plan } from './bed/address-plan.ts';
import { selfSigned } from './certificate.ts';
import { connect, kinds, type Teardown, Undo } from './cluster.ts';
import type { KubeObject } from './kube-api.ts';
import { installed, meshed } from './mesh.ts';
import { app, type Fields, idle, type PodShape, pod } from './workloads.ts';

const cluster = connect();
const label = 'chainmail.dev/inject';
const dryRun = '?dryRun=All';

let home = '';
let plain = '';
const undo = new Undo();
test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
  plain = await cluster.namespace(undo);
});
test.after.always(() => undo.run());

const admit = (object: object, namespace = home): Promise<KubeObject> => cluster.api.create(object, namespace, dryRun);
const initNames = (o: KubeObject): readonly string[] => (o['spec'].initContainers ?? []).map((c: Fields) => c['name']);
const isInjected = (o: KubeObject): boolean => initNames(o).includes(containers.agent);
const agentOf = (o: KubeObject) => o['spec'].initContainers.find((c: Fields) => c['name'] === containers.agent);

test('a pod of a labelled namespace gets mesh-init and the agent before its own init containers', async (t) => {
  const own = { name: 'own', image: app['image'], command: ['true'] };
  t.deepEqual(initNames(await admit(pod('a', { spec: { initContainers: [own] } }))), [
    containers.init,
    containers.agent,
    'own',
  ]);
});

const skipped: Readonly<Record<string, readonly [() => string, PodShape]>> = {
  'a namespace without the label': [() => plain, {}],
  'kube-system': [() => 'kube-system', {}],
  "the mesh's own namespace, even for a pod with the label": [
    () => system.namespace,
    { labels: { [label]: 'enabled' }, spec: restricted(), container: restrictedContainer() },
  ],
  'host network': [() => home, { spec: { hostNetwork: true } }],
  Windows: [() => home, { spec: { os: { name: 'windows' }, nodeSelector: { 'kubernetes.io/os': 'windows' } } }],
  'a pod label': [() => home, { labels: { [label]: 'disabled' } }],
  'a pod annotation': [() => home, { annotations: { [label]: 'disabled' } }],
};
for (const [what, [namespace, shape]] of Object.entries(skipped)) {
  test(`left alone: ${what}`, async (t) => t.false(isInjected(await admit(pod('a', shape), namespace()))));
}

function restricted(): Fields {
  return { securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } } };
}

function restrictedContainer(): Fields {
  return { ...idle, securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } };
}

test('the label of a pod comes before its annotation, and both before the namespace', async (t) => {
  const both = { labels: { [label]: 'enabled' }, annotations: { [label]: 'disabled' } };
  t.true(isInjected(await admit(pod('a', both))));
  t.true(isInjected(await admit(pod('a', { labels: { [label]: 'enabled' } }), plain)), 'a namespace without the label');
});

const denied: Readonly<Record<string, readonly [PodShape, RegExp]>> = {
  'a label that is neither enabled nor disabled': [
    { labels: { [label]: 'true' } },
    /chainmail\.dev\/inject.*true.*enabled/s,
  ],
  'an annotation that is neither': [{ annotations: { [label]: 'yes' } }, /chainmail\.dev\/inject.*yes/s],
  "the agent's uid": [{ container: { ...idle, securityContext: { runAsUser: 1337 } } }, /1337/],
  "the agent's uid for the whole pod": [{ spec: { securityContext: { runAsUser: 1337 } } }, /1337/],
  'a reserved port': [{ container: { ...idle, ports: [{ containerPort: 15_006 }] } }, /15006/],
  'a container with the name of the agent': [{ container: { ...idle, name: containers.agent } }, /mesh-agent/],
  'a volume with the name of one of ours': [
    { spec: { volumes: [{ name: volumes.state, emptyDir: {} }] } },
    /chainmail-state/,
  ],
  'a port exclusion that is none': [
    { annotations: { 'chainmail.dev/exclude-inbound-ports': '80,http' } },
    /exclude-inbound-ports.*http/s,
  ],
  "an exclusion of the agent's own port": [
    { annotations: { 'chainmail.dev/exclude-inbound-ports': '15006' } },
    /15006/,
  ],
  'a network exclusion that is none': [
    { annotations: { 'chainmail.dev/exclude-outbound-cidrs': '10.0.0.0/33' } },
    /10\.0\.0\.0\/33/,
  ],
  'a request above the limit': [
    { annotations: { 'chainmail.dev/agent-cpu-request': '2', 'chainmail.dev/agent-cpu-limit': '1' } },
    /cpu/,
  ],
  'a quantity that is none': [{ annotations: { 'chainmail.dev/agent-memory-limit': 'much' } }, /much/],
};
for (const [what, [shape, message]] of Object.entries(denied)) {
  test(`refused with a message: ${what}`, async (t) => {
    const error = await t.throwsAsync(admit(pod('a', shape)));
    t.regex(error?.message ?? '', /admission webhook .*chainmail\.dev.* denied the request/);
    t.regex(error?.message ?? '', message);
  });
}

test('a namespace with a wrong value of the label has its pods refused, not passed by', async (t) => {
  const ns = await cluster.namespace(t, { [label]: 'on' });
  const error = await t.throwsAsync(admit(pod('a'), ns));
  t.regex(error?.message ?? '', /denied the request.*'?on'?/s);
});

/** What the API server writes by itself when it takes an object. */
function resubmitted(o: KubeObject): KubeObject {
  const { name, labels = {}, annotations = {} } = o.metadata;
  return { apiVersion: o.apiVersion, kind: o.kind, metadata: { name, labels, annotations }, spec: o['spec'] };
}

test('its own output comes out unchanged', async (t) => {
  const once = await admit(pod('a', { container: { ...app, ...everyProbe() } }));
  const twice = await admit(resubmitted(once));
  t.deepEqual(twice['spec'], once['spec']);
  t.deepEqual(twice.metadata.annotations, once.metadata.annotations);
});

function everyProbe(): Fields {
  return {
    startupProbe: { tcpSocket: { port: 'tcp' } },
    readinessProbe: { httpGet: { path: '/healthz', port: 'http' } },
    livenessProbe: { grpc: { port: 50_051 } },
    lifecycle: { preStop: { httpGet: { path: '/stop', port: 8080 } } },
  };
}

test('probes and lifecycle handlers go through the agent; exec stays', async (t) => {
  const { spec } = await admit(pod('a', { container: { ...app, ...everyProbe() } }));
  const [container] = spec.containers;
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    t.is(container[probe].httpGet?.port, 15_021, probe);
    t.is(container[probe].tcpSocket, undefined);
    t.is(container[probe].grpc, undefined);
  }
  t.is(container.lifecycle.preStop.httpGet.port, 15_021);
  const exec = { exec: { command: ['true'] } };
  const untouched = await admit(pod('a', { container: { ...app, livenessProbe: exec } }));
  t.deepEqual(untouched['spec'].containers[0].livenessProbe.exec, exec.exec);
});

test('what belongs to the user stays as it was', async (t) => {
  const shape = {
    container: { ...app, env: [{ name: 'A', value: 'b' }], resources: { limits: { memory: '1Gi' } }, args: ['x'] },
    labels: { app: 'a' },
    spec: { serviceAccountName: 'default', securityContext: { fsGroup: 7 }, restartPolicy: 'OnFailure' },
  };
  const [with_, without] = await Promise.all([admit(pod('a', shape)), admit(pod('a', shape), plain)]);
  const mine = (o: KubeObject) => {
    const [container] = o['spec'].containers;
    const mounts = container.volumeMounts.filter((m: Fields) => !String(m['name']).startsWith('kube-api-access'));
    return { ...container, volumeMounts: mounts };
  };
  t.deepEqual(mine(with_), mine(without));
  for (const field of ['securityContext', 'restartPolicy', 'serviceAccountName', 'terminationGracePeriodSeconds']) {
    t.deepEqual(with_['spec'][field], without['spec'][field], field);
  }
  t.deepEqual(with_.metadata.labels, without.metadata.labels);
});

test('a Guaranteed pod stays Guaranteed', async (t) => {
  const resources = { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '100m', memory: '64Mi' } };
  const { status } = await admit(pod('a', { container: { ...idle, resources } }));
  t.is(status.qosClass, 'Guaranteed');
});

test("resources of the agent follow the pod's annotations", async (t) => {
  const annotations = { 'chainmail.dev/agent-cpu-request': '7m', 'chainmail.dev/agent-memory-limit': '333Mi' };
  const { requests, limits } = agentOf(await admit(pod('a', { annotations }))).resources;
  t.is(requests.cpu, '7m');
  t.is(limits.memory, '333Mi');
});

test('a pod without a token of its own has one for the agent, and only the agent mounts it', async (t) => {
  const { spec } = await admit(pod('a', { spec: { automountServiceAccountToken: false } }));
  const mounts = (c: Fields) => ((c['volumeMounts'] ?? []) as Fields[]).map((m) => m['name']);
  const holders = [...spec.initContainers, ...spec.containers].filter((c) => mounts(c).includes(volumes.token));
  t.deepEqual(
    holders.map((c) => c.name),
    [containers.agent],
  );
  const { projected } = spec.volumes.find((v: Fields) => v['name'] === volumes.token);
  t.is(projected.sources[0].serviceAccountToken.audience, 'chainmail-ca');
});

test('the agent is locked down', async (t) => {
  const { securityContext } = agentOf(await admit(pod('a')));
  t.like(securityContext, {
    runAsNonRoot: true,
    runAsUser: 1337,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  });
});

test('uninject gives the pod as the user wrote it', async (t) => {
  const wanted = pod('a', { container: { ...app, ...everyProbe() }, labels: { app: 'a' } });
  const [injected, original] = await Promise.all([admit(wanted), admit(wanted, plain)]);
  const file = JSON.stringify(resubmitted(injected));
  const { stdout, stderr, code } = await cluster.meshctl(['uninject', '-f', '-'], file);
  t.is(code, 0, stderr);
  const back = JSON.parse(stdout);
  const handlers = (o: KubeObject) =>
    o['spec'].containers.map(({ startupProbe, readinessProbe, livenessProbe, lifecycle }: Fields) => ({
      startupProbe,
      readinessProbe,
      livenessProbe,
      lifecycle,
    }));
  t.deepEqual(handlers(back), handlers(original));
  t.is(back.spec.initContainers, undefined);
  t.notRegex(JSON.stringify(back), /chainmail\.dev|mesh-agent|chainmail-/);
});

test('a template is left as it is; only the pods made of it are injected', async (t) => {
  const template = { metadata: { labels: { app: 'a' } }, spec: pod('a')['spec'] };
  const spec = { selector: { matchLabels: { app: 'a' } }, template };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec };
  t.is((await admit(object))['spec'].template.spec.initContainers, undefined);
});

test('a pod named by its owner is told by that name in a refusal', async (t) => {
  const { spec } = pod('a', { container: { ...idle, ports: [{ containerPort: 15_001 }] } });
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'many-' }, spec };
  const error = await t.throwsAsync(admit(object));
  t.regex(error?.message ?? '', /15001/);
});

test('Pod Security that forbids mesh-init is warned of', async (t) => {
  const ns = await cluster.namespace(t, { ...meshed, 'pod-security.kubernetes.io/enforce': 'baseline' });
  const manifest = JSON.stringify(pod('a', { container: idle }));
  const { code, stderr } = await cluster.kubectl(['create', '-n', ns, '-f', '-', '--dry-run=server'], manifest);
  t.not(code, 0);
  t.regex(stderr, /PodSecurity|pod-security/i);
});

test('an update is left alone', async (t) => {
  const bare = pod('late', {
    container: idle,
    spec: { nodeSelector: { no: 'node' } },
    labels: { [label]: 'disabled' },
  });
  await cluster.api.create(bare, home);
  const changed = await cluster.api.patch(kinds.Pod, home, 'late', { metadata: { labels: { [label]: 'enabled' } } });
  t.false(isInjected(changed));
});

/** What other meshes and vendors do: a webhook that comes after ours and adds a container with a probe. */
async function otherWebhook(t: Teardown, namespace: string): Promise<void> {
  const { key, cert } = selfSigned(`IP:${plan.nodeIp}`);
  const added = { name: 'added', image: app['image'], livenessProbe: { httpGet: { path: '/healthz', port: 8080 } } };
  const server = https.createServer({ key, cert }, (request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      const { uid, object } = JSON.parse(text).request;
      const there = object.spec.containers.some((c: Fields) => c['name'] === 'added');
      const patch = Buffer.from(JSON.stringify(there ? [] : [{ op: 'add', path: '/spec/containers/-', value: added }]));
      const answer = { uid, allowed: true, patchType: 'JSONPatch', patch: patch.toString('base64') };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, plan.nodeIp, resolve));
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const name = `zz-${namespace}`;
  await cluster.api.create({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name },
    webhooks: [
      {
        name: 'zz.other.example',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        clientConfig: { url: `https://${plan.nodeIp}:${port}/`, caBundle: Buffer.from(cert).toString('base64') },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
      },
    ],
  });
  t.teardown(() => cluster.api.remove(kinds.MutatingWebhookConfiguration, undefined, name));
}

test('a container that another webhook adds after us is taken in as well', async (t) => {
  const ns = await cluster.namespace(t, meshed);
  await otherWebhook(t, ns);
  const seen = await cluster.api.eventually(
    () => admit(pod('a'), ns),
    (o) => o['spec'].containers.length === 2,
  );
  const added = seen['spec'].containers.find((c: Fields) => c['name'] === 'added');
  t.is(added.livenessProbe.httpGet.port, 15_021);
  t.is(initNames(seen).filter((name) => name === containers.agent).length, 1);
});
