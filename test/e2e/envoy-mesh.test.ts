/**
 * The real Envoy as the proxy of a pod: it takes its configuration from the real control plane over delta ADS, and its
 * application reaches a pod with our agent over mutual TLS, with policy.
 */
import path from 'node:path';
import { agentEnv, containers, podPaths, ports, trustBundleConfigMap } from '@chainmail/runtime';
import test from 'ava';
import { findEnvoy } from '../bench/envoy.ts';
import { deployment, namespaces, service } from './mesh/manifests.ts';
import { echoOf, eventually, SuiteMesh } from './mesh/suite-mesh.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const envoy = findEnvoy();
const run = 'missing' in envoy ? test.serial.skip : test.serial;
if ('missing' in envoy) console.log(`skipped: there is no Envoy for a pod: ${envoy.missing}`);

const field = (name: string, fieldPath: string): string =>
  `{ name: ${name}, valueFrom: { fieldRef: { fieldPath: ${fieldPath} } } }`;
const node = '10.77.0.1';

/** What the injector would make of the pod, with Envoy in the agent's place. */
const pod = (binary: string): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: foreign, namespace: alpha }
---
apiVersion: v1
kind: Pod
metadata: { name: foreign, namespace: alpha, labels: { app: foreign, chainmail.dev/inject: disabled } }
spec:
  serviceAccountName: foreign
  terminationGracePeriodSeconds: 2
  initContainers:
    - name: ${containers.init}
      image: chainmail.dev/agent:local
      args: [init, --exclude-inbound-ports, "9099"]
      securityContext: { runAsUser: 0, capabilities: { drop: [ALL], add: [NET_ADMIN, NET_RAW] } }
  containers:
    - name: app
      command: [node, /opt/chainmail/test/e2e/mesh/app.ts]
    - name: envoy
      command: [node, /opt/chainmail/test/fakes/envoy-sidecar.ts, ${binary}]
      securityContext: { runAsUser: 1337, runAsGroup: 1337 }
      env:
        - ${field(agentEnv.podName, 'metadata.name')}
        - ${field(agentEnv.podNamespace, 'metadata.namespace')}
        - ${field(agentEnv.podIp, 'status.podIP')}
        - ${field(agentEnv.serviceAccount, 'spec.serviceAccountName')}
        - { name: ${agentEnv.trustDomain}, value: cluster.local }
        - { name: ${agentEnv.controlAddress}, value: "${node}:${ports.control}" }
        - { name: ${agentEnv.caAddress}, value: "${node}:${ports.ca}" }
      volumeMounts:
        - { name: token, mountPath: ${path.dirname(podPaths.token)}, readOnly: true }
        - { name: bundle, mountPath: ${path.dirname(podPaths.trustBundle)}, readOnly: true }
  volumes:
    - name: token
      projected: { sources: [{ serviceAccountToken: { path: token, audience: chainmail-ca, expirationSeconds: 3600 } }] }
    - name: bundle
      configMap: { name: ${trustBundleConfigMap.name} }
`;

const policy = `
apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: echo, namespace: alpha }
spec:
  targetRefs: [{ group: "", kind: Service, name: echo }]
  authorization:
    defaultAction: Deny
    rules: [{ name: foreign-reads, action: Allow, principal: { serviceAccounts: [foreign] }, operation: { methods: [GET] } }]
`;

const ports80 = 'ports: [{ name: http, port: 80, targetPort: http }, { name: tcp-sink, port: 9001 }]';

let mesh: SuiteMesh;

test.before(async () => {
  if ('missing' in envoy) return;
  const inside = path.join('/opt/chainmail', path.relative(repository, envoy.path));
  mesh = await SuiteMesh.start(`e2e-envoy-${process.pid}`, {
    'namespaces.yaml': namespaces,
    'echo.yaml': `${deployment('alpha', 'echo', 1)}${service('alpha', 'echo', `selector: { app: echo }, ${ports80}`)}`,
    'client.yaml': deployment('alpha', 'client', 1),
    'policy.yaml': policy,
    'foreign.yaml': pod(inside),
  });
});

test.after.always(() => mesh?.stop());

run('Envoy takes what control sends, and its application reaches a meshed pod as itself', async (t) => {
  const answer = await eventually('an answer through Envoy', async () => {
    const a = await mesh.http('alpha/foreign', { url: 'http://echo/x' });
    return a.status === 200 ? a : undefined;
  });
  t.is(echoOf(answer).pod, (await mesh.pod('alpha/echo')).name);
  const edges = await eventually('the edge', async () => {
    const all = (await mesh.edges('alpha/echo')).filter((e) => e.direction === 'inbound' && e.requests > 0);
    return all.length > 0 ? all : undefined;
  });
  t.true(edges.every((e) => e.tls === 'TLSv1.3'));
  t.true(
    edges.some((e) => e.peer === 'spiffe://cluster.local/ns/alpha/sa/foreign'),
    JSON.stringify(edges),
  );
});

run('policy holds for Envoy’s identity, and nobody else has it', async (t) => {
  t.is((await mesh.http('alpha/foreign', { url: 'http://echo/x', method: 'DELETE' })).status, 403);
  t.is((await mesh.http('alpha/client', { url: 'http://echo/x' })).status, 403);
});
