import test from 'ava';
import { applyPatch } from './json-patch.ts';

test('operations apply in order, on a copy', (t) => {
  const pod = { metadata: { labels: { a: '1' } }, spec: { containers: [{ name: 'x' }, { name: 'y' }] } };
  const result = applyPatch<unknown>(pod, [
    { op: 'add', path: '/metadata/annotations', value: {} },
    { op: 'add', path: '/metadata/annotations/chainmail.dev~1status', value: '{"a~b":1}' },
    { op: 'add', path: '/spec/containers/0', value: { name: 'first' } },
    { op: 'add', path: '/spec/containers/-', value: { name: 'last' } },
    { op: 'replace', path: '/metadata/labels/a', value: '2' },
    { op: 'remove', path: '/spec/containers/1' },
    { op: 'test', path: '/spec/containers/0/name', value: 'first' },
    { op: 'copy', from: '/metadata/labels/a', path: '/metadata/labels/b' },
    { op: 'move', from: '/metadata/labels/a', path: '/metadata/labels/c' },
  ]);
  t.deepEqual(result, {
    metadata: { labels: { b: '2', c: '2' }, annotations: { 'chainmail.dev/status': '{"a~b":1}' } },
    spec: { containers: [{ name: 'first' }, { name: 'y' }, { name: 'last' }] },
  });
  t.deepEqual(pod.spec.containers, [{ name: 'x' }, { name: 'y' }]);
});

test('what cannot be applied is refused with operation and path', (t) => {
  const bad = (o: { op: string; path: string; value?: unknown }): void => {
    t.throws(() => applyPatch({ a: [1] }, [o]), { message: new RegExp(`patch ${o.op} ${o.path}`) });
  };
  bad({ op: 'add', path: '/x/y', value: 1 });
  bad({ op: 'add', path: '/a/7', value: 1 });
  bad({ op: 'remove', path: '/nope' });
  bad({ op: 'replace', path: '/nope', value: 1 });
  bad({ op: 'test', path: '/a', value: [2] });
  bad({ op: 'merge', path: '/a', value: 1 });
  bad({ op: 'add', path: '/__proto__', value: {} });
});
