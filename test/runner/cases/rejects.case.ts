import test from 'ava';

test('passes', (t) => {
  void Promise.reject(new TypeError('nobody looks'));
  t.pass();
});
