import test from 'ava';
import { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import { seededRandom } from '../worker/random.ts';
import { setRequestId } from './request-id.ts';

function idFrom(random: () => number): string {
  const head = new Head();
  head.add('host', 'a.test');
  setRequestId(head, random);
  return head.get('x-request-id') ?? '';
}

test('an id is a random UUID of version 4 and variant 1', (t) => {
  const random = seededRandom(7);
  for (let i = 0; i < 1000; i++) {
    t.regex(idFrom(random), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test('every random bit is in the id, and ids differ', (t) => {
  t.is(
    idFrom(() => 0),
    '00000000-0000-4000-8000-000000000000',
  );
  t.is(
    idFrom(() => 1 - 2 ** -33),
    'ffffffff-ffff-4fff-bfff-ffffffffffff',
  );
  const random = seededRandom(8);
  t.is(new Set(Array.from({ length: 1000 }, () => idFrom(random))).size, 1000);
});

test('an id that is there is replaced in its place, and a second one goes', (t) => {
  const head = new Head();
  head.add('x-request-id', 'theirs');
  head.add('accept', '*/*');
  head.add('x-request-id', 'theirs too');
  setRequestId(head, seededRandom(9));
  t.is(head.getAll('x-request-id').length, 1);
  t.is(head.find(token['x-request-id']), 0);
  t.is(head.get('accept'), '*/*');
});
