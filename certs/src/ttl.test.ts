import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { chooseTtl, parseTtl } from './ttl.ts';

const rules = { defaultSeconds: 3600, maxSeconds: 7200 };

test('nothing wanted takes the default; the maximum is allowed, a second more is an error', (t) => {
  t.deepEqual(chooseTtl(0n, rules), { ok: true, seconds: 3600 });
  t.deepEqual(chooseTtl(7200n, rules), { ok: true, seconds: 7200 });
  t.deepEqual(chooseTtl(5n, rules), { ok: true, seconds: 5 });
  for (const wanted of [7201n, 4n, -1n, 2n ** 62n]) t.false(chooseTtl(wanted, rules).ok, String(wanted));
});

test('lifetimes on the command line', (t) => {
  t.deepEqual(
    ['20s', '30m', '24h', '90d'].map((d) => parseTtl(d, '--x')),
    [20, 1800, 86_400, 7_776_000],
  );
  for (const bad of ['', '24', 'h', '-1h', '1.5h', '1h30m', '4s', '0d', '24H']) {
    t.throws(() => parseTtl(bad, '--max-ttl'), { instanceOf: UserError, message: /^--max-ttl/ }, bad);
  }
});
