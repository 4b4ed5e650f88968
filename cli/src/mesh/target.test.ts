import test from 'ava';
import { chooseTarget } from './target.ts';

const none = { localRuns: false, clusterThere: false };
const local = { localRuns: true, clusterThere: false };
const cluster = { localRuns: false, clusterThere: true };
const both = { localRuns: true, clusterThere: true };

test('what a flag says is taken', (t) => {
  t.is(chooseTarget({ target: 'dev' }, cluster).target, 'dev');
  t.is(chooseTarget({ target: 'kubernetes' }, local).target, 'kubernetes');
  t.is(chooseTarget({ name: 'x' }, cluster).target, 'dev');
  t.is(chooseTarget({ context: 'x' }, local).target, 'kubernetes');
  t.is(chooseTarget({ kubeconfig: 'x' }, local).target, 'kubernetes');
});

test('without a flag what is there is taken, and of both the local one, with a word', (t) => {
  t.deepEqual(chooseTarget({}, local), { target: 'dev' });
  t.deepEqual(chooseTarget({}, cluster), { target: 'kubernetes' });
  t.regex(chooseTarget({}, both).note ?? '', /--target kubernetes asks the cluster/);
});

test('nothing there is said with what to do', (t) => {
  t.throws(() => chooseTarget({}, none), {
    code: 'TARGET_NONE',
    message: /no local one runs, and there is no kubeconfig/,
  });
});

test('flags that contradict one another are refused', (t) => {
  const wrong = [
    { name: 'x', context: 'y' },
    { name: 'x', target: 'kubernetes' as const },
    { kubeconfig: 'x', target: 'dev' as const },
  ];
  for (const flags of wrong) t.throws(() => chooseTarget(flags, both), { code: 'TARGET_CONTRADICTION' });
});
