import test from 'ava';
import { containerEnv, type EnvSources, expand, fieldValue } from './container-env.ts';
import type { Container, NamedPod } from './pod.ts';

const pod: NamedPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u-1', labels: { app: 'web', b: 'say "hi"' } },
  spec: { containers: [], serviceAccountName: 'web', nodeName: 'node' },
};

const data = (kind: string, values: Record<string, string>) => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x' },
  data: values,
});
const sources: EnvSources = {
  configMap: (_, name) => (name === 'settings' ? data('ConfigMap', { color: 'blue', size: '4' }) : undefined),
  secret: (_, name) => (name === 'keys' ? data('Secret', { password: 'aHVudGVyMg==' }) : undefined),
  podIps: ['10.77.0.16', 'fd00:77::10'],
  hostIp: '10.77.0.1',
};
const env = (c: Partial<Container>): Record<string, string> => containerEnv(pod, { name: 'app', ...c }, sources);

test('variables see those before them, and nothing after', (t) => {
  const result = env({
    env: [
      { name: 'A', value: '1' },
      { name: 'B', value: '$(A)-$(C)-$$(A)' },
      { name: 'C', value: '3' },
    ],
  });
  t.deepEqual(result, { A: '1', B: '1-$(C)-$(A)', C: '3' });
});

test('expansion keeps what is no reference', (t) => {
  t.is(expand('$A $(A) $$ $(', { A: 'x' }), '$A x $ $(');
  t.is(expand('$(B $(A)', { A: 'x' }), '$(B $(A)', 'a name ends at the first bracket');
  t.is(expand('$(toString)', {}), '$(toString)');
});

test('the downward API', (t) => {
  const field = (path: string): string | undefined => fieldValue(pod, path, sources.podIps, sources.hostIp);
  t.is(field('metadata.name'), 'web-1');
  t.is(field('metadata.uid'), 'u-1');
  t.is(field('status.podIPs'), '10.77.0.16,fd00:77::10');
  t.is(field('spec.serviceAccountName'), 'web');
  t.is(field("metadata.labels['app']"), 'web');
  t.is(field('metadata.labels'), 'app="web"\nb="say \\"hi\\""');
  t.is(field('status.nothing'), undefined);
});

test('ConfigMaps and Secrets, one key and whole', (t) => {
  const result = env({
    envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings' } }, { secretRef: { name: 'none', optional: true } }],
    env: [
      { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } },
      { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'keys', key: 'none', optional: true } } },
    ],
  });
  t.deepEqual(result, { S_color: 'blue', S_size: '4', COLOR: 'blue', PASSWORD: 'hunter2' });
});

test('limits become numbers, rounded up', (t) => {
  const resources = { limits: { cpu: '1500m', memory: '64Mi' } };
  const from = (resource: string, divisor?: string) => ({
    name: 'X',
    valueFrom: { resourceFieldRef: { resource, ...(divisor === undefined ? {} : { divisor }) } },
  });
  t.is(env({ resources, env: [from('limits.cpu')] })['X'], '2');
  t.is(env({ resources, env: [from('limits.cpu', '1m')] })['X'], '1500');
  t.is(env({ resources, env: [from('limits.memory', '1Mi')] })['X'], '64');
});

test('what is referred to and missing is named', (t) => {
  const broken = (valueFrom: NonNullable<NonNullable<Container['env']>[number]['valueFrom']>): void => {
    const error = t.throws(() => env({ env: [{ name: 'X', valueFrom }] }));
    t.regex(error?.message ?? '', /shop\/web-1 container app env X: /);
  };
  broken({ configMapKeyRef: { name: 'nope', key: 'k' } });
  broken({ secretKeyRef: { name: 'keys', key: 'nope' } });
  broken({ fieldRef: { fieldPath: 'spec.nope' } });
  broken({ resourceFieldRef: { resource: 'limits.cpu' } });
  broken({});
});
