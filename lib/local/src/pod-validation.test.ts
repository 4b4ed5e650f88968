import test from 'ava';
import type { PodSpec } from './pod.ts';
import { podErrors } from './pod-validation.ts';

const spec = (over: Partial<PodSpec>): PodSpec => ({ containers: [{ name: 'a', command: ['x'] }], ...over });

test('a plain pod is fine', (t) => {
  t.deepEqual(podErrors(spec({ volumes: [{ name: 'v', emptyDir: {} }] })), []);
});

test('what cannot run here is refused with its path', (t) => {
  const refused = (over: Partial<PodSpec>, pattern: RegExp): void => {
    t.regex(podErrors(spec(over)).join('\n'), pattern);
  };
  refused({ containers: [] }, /^spec\.containers: missing/);
  refused({ hostNetwork: true }, /^spec\.hostNetwork/);
  refused({ containers: [{ name: 'a' }, { name: 'a' }] }, /two containers are named a/);
  refused({ containers: [{ name: 'A_b' }] }, /^spec\.containers\[0\]\.name/);
  refused({ containers: [{ name: 'a', volumeMounts: [{ name: 'v', mountPath: '/v' }] }] }, /no volume v/);
  refused({ volumes: [{ name: 'v', nfs: {} } as { name: string }] }, /^spec\.volumes\[0\] v: only emptyDir/);
  refused({ containers: [{ name: 'a', livenessProbe: { grpc: { port: 1 } } }] }, /livenessProbe\.grpc/);
  refused({ containers: [{ name: 'a', readinessProbe: {} }] }, /readinessProbe: needs one of/);
  refused({ initContainers: [{ name: 'i', restartPolicy: 'Never' }] }, /initContainers\[0\]\.restartPolicy/);
  const host = { volumes: [{ name: 'h', hostPath: { path: '/srv' } }] };
  refused({ ...host, containers: [{ name: 'a', volumeMounts: [{ name: 'h', mountPath: '/h' }] }] }, /readOnly: true/);
});
