import test from 'ava';

test('fails', (t) => t.is(1 + 1, 3, 'a sum'));
test('never ends', async (t) => {
  await new Promise(() => undefined);
  t.pass();
});
test.skip('skipped', (t) => t.pass());
