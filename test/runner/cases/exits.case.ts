import test from 'ava';

test('ends the process', async (t) => {
  setImmediate(() => process.exit(3));
  await new Promise(() => undefined);
  t.pass();
});
