import { parseObjects } from '@chainmail/kube';
import test from 'ava';
import { desiredState } from './desired-state.ts';

const load = (yaml: string) => desiredState(parseObjects(yaml, 'x.yaml'));

test('objects are found by namespace and name, default being implied', (t) => {
  const state = load('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n');
  t.is(state.configMaps.get('default/a')?.data?.['k'], 'v');
  t.deepEqual([...state.namespaces.keys()].sort(), ['chainmail-system', 'default']);
  t.deepEqual(state.problems, []);
});

test('policies and routes are left to control, unknown kinds are told', (t) => {
  const state = load(
    'apiVersion: chainmail.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {name: a}\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n',
  );
  t.deepEqual(state.problems, [
    { origin: { file: 'x.yaml', line: 5 }, reason: 'Job (batch/v1) does not run under meshctl dev' },
  ]);
});

test('doubles, missing namespaces and broken shapes are problems with file and line', (t) => {
  const reasons = (yaml: string): string[] => load(yaml).problems.map((p) => `${p.origin.line}: ${p.reason}`);
  const cm = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n';
  t.deepEqual(reasons(`${cm}---\n${cm}`), ['5: ConfigMap/default/a is defined twice; the first one counts']);
  t.regex(
    reasons('apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n')[0] ?? '',
    /there is no Namespace b/,
  );
  t.regex(reasons('apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n')[0] ?? '', /spec is missing/);
  t.regex(reasons('apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n')[0] ?? '', /template\.spec/);
});

test('a name that is a path and a kind that is none are problems', (t) => {
  const text = `apiVersion: v1
kind: ServiceAccount
metadata: { name: ../../x }
---
apiVersion: v1
kind: constructor
metadata: { name: x }
`;
  const { problems } = desiredState(parseObjects(text, 'f.yaml'));
  t.deepEqual(
    problems.map((p) => p.reason.split(':')[0]),
    ['ServiceAccount', 'constructor (v1) does not run under meshctl dev'],
  );
  t.regex(problems[0]?.reason ?? '', /'\.\.\/\.\.\/x' is not a name/);
});
