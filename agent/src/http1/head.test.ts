import test from 'ava';
import { Head } from './head.ts';

type Scalars = Record<string, number | boolean>;
/** What says how much of the arrays counts, and what the arrays are. */
const containers = new Set(['bytes', 'view', 'fields', 'ids', 'used', 'count', 'idCount']);

function scalarsOf(head: Head): string[] {
  return Object.keys(head).filter((key) => !containers.has(key));
}

/** A head with fields whose every scalar differs from that of a new one. */
function unusual(fields = 3): Head {
  const head = new Head();
  for (let i = 0; i < fields; i++) head.add(`x-field-${i}`, `value ${i}`);
  const scalars = head as unknown as Scalars;
  let n = 1000;
  for (const key of scalarsOf(head)) scalars[key] = typeof scalars[key] === 'boolean' ? true : n++;
  return head;
}

test('a copy has everything that a head has, whatever is added to heads one day', (t) => {
  const from = unusual();
  const to = new Head();
  to.copyFrom(from);
  for (const key of scalarsOf(from)) t.is((to as unknown as Scalars)[key], (from as unknown as Scalars)[key], key);
  t.deepEqual(to.getAll('x-field-2'), ['value 2']);
  t.is(to.count, 3);
  t.not(to.bytes, from.bytes);
});

test('reset leaves nothing of a message', (t) => {
  const head = unusual();
  head.reset();
  const fresh = new Head() as unknown as Scalars;
  const ranges = new Set(['methodStart', 'methodEnd', 'schemeStart', 'schemeEnd', 'protocolStart', 'protocolEnd']);
  for (const key of scalarsOf(head)) {
    if (!ranges.has(key)) t.is((head as unknown as Scalars)[key], fresh[key], key);
  }
  t.is(head.methodEnd, head.methodStart);
  t.is(head.schemeEnd, head.schemeStart);
  t.is(head.protocolEnd, head.protocolStart);
  t.deepEqual([head.used, head.count, head.idCount], [0, 0, 0]);
});

test('copies of all sizes, into heads that are small, and into the same one again', (t) => {
  const to = new Head(8, 1);
  for (const fields of [1, 40, 0, 200, 2, 33]) {
    const from = new Head();
    for (let i = 0; i < fields; i++) from.add(`x-${i}`, 'v'.repeat(i));
    to.copyFrom(from);
    t.is(to.count, fields);
    for (let i = 0; i < fields; i++) t.is(to.get(`x-${i}`), 'v'.repeat(i));
    t.is(to.get(`x-${fields}`), null);
  }
});

test('ids come along, and those of a message before do not', (t) => {
  const from = new Head();
  from.pushWithId(70, 0, 0, 1, 3, 4, 6);
  from.pushWithId(71, 0, 6, 7, 9, 10, 12);
  const to = new Head(8, 1);
  to.copyFrom(from);
  t.deepEqual([...to.ids.subarray(0, to.idCount)], [70, 71]);
  to.copyFrom(new Head());
  t.is(to.idCount, 0);
});
