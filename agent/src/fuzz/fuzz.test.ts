import test from 'ava';
import { corpusDirectory, readCorpus } from './corpus.ts';
import { fuzz } from './fuzz.ts';
import { mutate } from './mutate.ts';
import { targets } from './targets.ts';

for (const target of targets) {
  test(`every input that was kept holds: ${target.name}`, (t) => {
    const corpus = readCorpus(target.name);
    t.true(corpus.length > 0, `${corpusDirectory}/${target.name} is empty`);
    for (const input of corpus) t.notThrows(() => target.run(input), JSON.stringify(input.toString('latin1')));
  });

  test(`a few hundred damaged inputs hold: ${target.name}`, (t) => {
    let rounds = 0;
    const { failure, executions } = fuzz(target, readCorpus(target.name), 7, () => ++rounds > 3);
    t.is(
      failure,
      null,
      failure === null ? '' : `${String(failure.error)} ${JSON.stringify(failure.input.toString('latin1'))}`,
    );
    t.true(executions > 3 * 64);
  });
}

test('the fuzzer finds what hides behind a branch, and stops at what is broken', (t) => {
  const [example] = targets;
  if (example === undefined) throw new Error('no target');
  const broken = {
    ...example,
    sources: ['/fuzz/fuzz.test.ts'],
    words: ['a'],
    run: (input: Buffer) => {
      if (input[0] !== 0x7f) return;
      if (input.length > 3) throw new Error('broken');
    },
  };
  let rounds = 0;
  const { failure, blocks } = fuzz(broken, [Buffer.from('zz')], 1, () => ++rounds > 2_000);
  t.regex(String(failure?.error), /broken/);
  t.true(blocks > 0);
});

test('mutations stay within the size and are the same for the same seed', (t) => {
  const seeded = (): (() => number) => {
    let n = 0;
    return () => {
      n = (n * 16_807 + 12_345) % 2_147_483_647;
      return n / 2_147_483_647;
    };
  };
  const [a, b] = [seeded(), seeded()];
  for (let i = 0; i < 500; i++) {
    const one = mutate(Buffer.from('hello world'), Buffer.from('other'), [Buffer.from('word')], a, 12);
    t.true(one.length <= 12);
    t.deepEqual(one, mutate(Buffer.from('hello world'), Buffer.from('other'), [Buffer.from('word')], b, 12));
  }
});
