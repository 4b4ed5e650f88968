import test from 'ava';
import { addressAt, addressPlan, familyOf, NumberPool, numberOf } from './address-plan.ts';

test('numbers become addresses of both families and back', (t) => {
  t.is(addressAt(addressPlan.podV4, 16), '10.77.0.16');
  t.is(addressAt(addressPlan.podV4, 65534), '10.77.255.254');
  t.is(addressAt(addressPlan.podV6, 65534), 'fd00:77::fffe');
  for (const n of [1, 255, 256, 4096, 65534]) {
    for (const cidr of Object.values(addressPlan).filter((c) => c.includes('/'))) t.is(numberOf(addressAt(cidr, n)), n);
  }
  t.is(familyOf('10.0.0.1'), 'IPv4');
  t.is(familyOf('fd00::1'), 'IPv6');
});

test('an owner keeps its number and nobody else gets it', (t) => {
  const pool = new NumberPool(16);
  const a = pool.take('a');
  t.is(pool.take('a'), a);
  t.not(pool.take('b'), a);
  pool.release('a');
  t.not(pool.take('c'), a, 'a freed number rests before it is used again');
});

test('numbers known from a file are honoured, a second claim on one is not', (t) => {
  const pool = new NumberPool(16, { a: 40, b: 40, c: -1, d: 70000 });
  t.is(pool.take('a'), 40);
  t.not(pool.take('b'), 40);
  t.true(pool.claim('e', 41));
  t.false(pool.claim('f', 41));
  t.is(pool.take('e'), 41);
});

test('a full range is an error, not a loop', (t) => {
  const pool = new NumberPool(65530);
  for (let i = 0; i < 5; i++) pool.take(`o${i}`);
  t.throws(() => pool.take('one too many'), { code: 'LOCAL_ADDRESSES_EXHAUSTED' });
});
