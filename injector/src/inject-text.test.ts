import test from 'ava';
import { parseAllDocuments } from 'yaml';
import { injectText, uninjectText } from './inject-text.ts';
import { defaultValues } from './values.ts';

const options = { values: defaultValues };
const inject = (text: string): string => injectText(text, options).text;
const parsed = (text: string): unknown[] => parseAllDocuments(text).map((d) => d.toJS());

const workload = (apiVersion: string, kind: string): string => `apiVersion: ${apiVersion}
kind: ${kind}
metadata:
  name: web
spec:
  template:
    spec:
      containers:
      - name: web
`;

for (const [apiVersion, kind] of [
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'DaemonSet'],
  ['apps/v1', 'ReplicaSet'],
  ['batch/v1', 'Job'],
  ['v1', 'ReplicationController'],
] as const) {
  test(`${kind}: its template is injected, and comes back the same`, (t) => {
    const text = workload(apiVersion, kind);
    const result = injectText(text, options);
    t.like(result.pods, {
      0: { kind, name: 'web', namespace: 'default', changed: true, decision: { kind: 'inject' } },
    });
    t.like(parsed(result.text)[0], {
      spec: { template: { spec: { initContainers: { 0: { name: 'mesh-init' }, 1: { name: 'mesh-agent' } } } } },
    });
    t.is(uninjectText(result.text).text, text);
    t.is(inject(result.text), result.text);
  });
}

test('a bare Pod and a CronJob', (t) => {
  const pod = 'apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: x-\nspec:\n  containers:\n  - name: a\n';
  t.like(injectText(pod, options).pods, { 0: { kind: 'Pod', name: 'x-', changed: true } });
  t.is(uninjectText(inject(pod)).text, pod);
  const job = `apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers: [{name: a}]
`;
  t.like(parsed(inject(job))[0], {
    spec: { jobTemplate: { spec: { template: { spec: { initContainers: { 0: { name: 'mesh-init' } } } } } } },
  });
  t.is(uninjectText(inject(job)).text, job);
});

test('every item of a List', (t) => {
  const item = '- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: NAME\n  spec:\n    containers:\n    - name: c\n';
  const text = `apiVersion: v1\nkind: List\nitems:\n${item.replace('NAME', 'a')}- apiVersion: v1\n  kind: Service\n${item.replace('NAME', 'b')}`;
  const result = injectText(text, options);
  t.deepEqual(
    result.pods.map((p) => p.name),
    ['a', 'b'],
  );
  t.is(uninjectText(result.text).text, text);
});

const stream = `# heading
kind:   Weird   # spaced
foo:   { a: 1,b: 2 }
---
# about the deployment
apiVersion: apps/v1
kind: Deployment
metadata:
    name: web # here
spec:
    template:
        metadata:
            labels: {app: web}
        spec:
            # the only one
            containers:
                - name: web
                  image: "web:1" # quoted
                  args: ['a', "b"]
                  livenessProbe:
                      tcpSocket: {port: 80}
                      # often
                      periodSeconds: 1
---
apiVersion: v1
kind: Service
metadata: {  name: web  }
...
`;

test('other documents stay byte for byte', (t) => {
  const [first, , last] = stream.split(/^(?=---)/m);
  const out = inject(stream);
  t.true(out.startsWith(first ?? '?'));
  t.true(out.endsWith(last ?? '?'));
});

test('comments, order, quoting and indentation of an injected document stay', (t) => {
  const out = inject(stream);
  for (const line of [
    '# about the deployment\n',
    '    name: web # here\n',
    '            labels: {app: web}\n',
    '            # the only one\n',
    '                - name: web\n',
    '                  image: "web:1" # quoted\n',
    `                  args: ['a', "b"]\n`,
    '                      # often\n                      periodSeconds: 1\n',
  ]) {
    t.true(out.includes(line), line);
  }
  t.true(out.indexOf('kind: Deployment') < out.indexOf('metadata:'));
  t.false(/[&*]a\d/.test(out));
});

test('a document without any pod comes out byte for byte, whatever its form', (t) => {
  for (const text of [
    '',
    '\n\n',
    '# only a comment\n',
    'a:  1\r\nb: [ 2 ]\r\n',
    '--- \n---\nx: 1',
    '{"kind": "Service",  "apiVersion": "v1"}',
  ]) {
    t.is(inject(text), text);
    t.is(uninjectText(text).text, text);
  }
});

test('another group of the same kind is not ours', (t) => {
  const text = workload('example.com/v1', 'Deployment');
  t.is(inject(text), text);
});

test('JSON stays JSON, with its indentation', (t) => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers: [{ name: 'c' }] } };
  for (const indent of [undefined, 2, 4]) {
    const text = `${JSON.stringify(pod, null, indent)}\n`;
    const out = inject(text);
    t.notThrows(() => JSON.parse(out));
    t.is(out.trim().split('\n').length > 1, indent !== undefined);
    t.deepEqual(JSON.parse(uninjectText(out).text), pod);
  }
});

test('CRLF stays CRLF', (t) => {
  const out = inject(workload('apps/v1', 'Deployment').replaceAll('\n', '\r\n'));
  t.false(/[^\r]\n/.test(out));
});

test('an alias is written out rather than changed in two places', (t) => {
  const text = `apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: c
    livenessProbe: &probe
      tcpSocket: {port: 80}
    readinessProbe: *probe
`;
  t.like(parsed(inject(text))[0], {
    spec: {
      containers: {
        0: {
          livenessProbe: { httpGet: { path: '/app-health/c/livez' } },
          readinessProbe: { httpGet: { path: '/app-health/c/readyz' } },
        },
      },
    },
  });
  t.deepEqual(parsed(uninjectText(inject(text)).text), parsed(text));
});

test('empty lists and nulls get their content and come back', (t) => {
  const text = `apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations: {}
spec:
  initContainers: []
  volumes:
  containers:
  - name: c
`;
  t.deepEqual(parsed(uninjectText(inject(text)).text), parsed(text));
  t.true(inject(text).includes('\n  - name: mesh-init\n'));
});

test('a namespace in the text decides for its pods', (t) => {
  const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: off}\nspec: {containers: [{name: c}]}\n';
  const namespace =
    'apiVersion: v1\nkind: Namespace\nmetadata: {name: off, labels: {chainmail.dev/inject: disabled}}\n';
  const result = injectText(`${pod}---\n${namespace}`, options);
  t.like(result.pods, { 0: { changed: false, decision: { kind: 'skip' } } });
  t.true(injectText(pod, options).pods[0]?.changed);
  const labels = () => ({ 'chainmail.dev/inject': 'disabled' });
  t.false(injectText(pod, { ...options, namespaceLabels: labels }).pods[0]?.changed);
});

test('a refused pod is reported and left as it is', (t) => {
  const text = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: mesh-agent}]}\n';
  const result = injectText(text, options);
  t.is(result.text, text);
  t.like(result.pods, { 0: { changed: false, decision: { kind: 'deny' } } });
});

test('broken YAML is refused with its line in the whole text', (t) => {
  t.throws(() => inject('a: 1\n---\nb: 1\nc: [\n'), { code: 'MANIFEST_INVALID', message: /^line [45]: / });
  t.throws(() => inject('a: 1\na: 2\n'), { code: 'MANIFEST_INVALID', message: /^line 2: / });
});

test('a List whose items are indented comes back from uninject as it was', (t) => {
  const text = `# a comment
apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: StatefulSet # keep
    metadata: {name: db}
    spec:
      template:
        spec:
          containers:
            - name: a # app
              image: x
`;
  const injected = injectText(text, { values: defaultValues }).text;
  t.regex(injected, /^ {12}- name: mesh-agent$/m);
  t.is(uninjectText(injected).text, text);
});
