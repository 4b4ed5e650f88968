import test from 'ava';

test('hangs', async (t) => {
  setInterval(() => undefined, 1000);
  await new Promise(() => undefined);
  t.pass();
});
