import test from 'ava';

test('passes', (t) => t.pass());
test.after('a hook', () => {
  throw new Error('in the hook');
});
