import test from 'ava';
import { buildAnswer, type Parsed, parseQuery, type Query, readAnswer } from './message.ts';
import { nameBytes, query, readSeen, resolverAnswer } from './testing/queries.ts';

function queryOf(message: Buffer): Query {
  const parsed = parseQuery(message);
  if (parsed.kind !== 'query') throw new Error(parsed.kind);
  return parsed.query;
}

test('a question: name in lower case, type, class, what the client takes', (t) => {
  t.like(queryOf(query('Web.Shop.SVC', { id: 7, type: 28, edns: 4096 })), {
    id: 7,
    opcode: 0,
    recursionDesired: true,
    name: 'web.shop.svc',
    type: 28,
    class: 1,
    edns: true,
    maxBytes: 1232,
  });
  t.is(queryOf(query('a', { edns: 100 })).maxBytes, 512);
  t.like(queryOf(query('')), { name: '', edns: false, maxBytes: 512 });
});

test('a dot inside a label is no dot between labels', (t) => {
  const message = query('x');
  const odd = Buffer.concat([
    message.subarray(0, 12),
    Buffer.from([3, 97, 46, 98]),
    nameBytes('c'),
    message.subarray(-4),
  ]);
  t.is(queryOf(odd).name, 'a\\.b.c');
});

test('what is no well-formed question', (t) => {
  const whole = query('web.shop', { id: 9 });
  const kind = (message: Buffer): Parsed['kind'] => parseQuery(message).kind;
  for (let length = 0; length < 12; length++) t.is(kind(whole.subarray(0, length)), 'no-query');
  for (let length = 12; length < whole.length; length++) {
    t.deepEqual(parseQuery(whole.subarray(0, length)), { kind: 'format-error', id: 9 });
  }
  t.is(kind(whole), 'query');
  t.is(kind(query('a', { flags: 0x8100 })), 'no-query', 'an answer');
  const two = query('a');
  two.writeUInt16BE(2, 4);
  t.is(kind(two), 'format-error');
  const pointer = query('a');
  pointer[12] = 0xc0;
  t.is(kind(pointer), 'format-error');
  const long = (labels: number): Buffer => query(Array<string>(labels).fill('x'.repeat(62)).join('.'));
  t.is(kind(long(4)), 'query');
  t.is(kind(long(5)), 'format-error');
});

test('an answer: the question as it came, the addresses, an OPT for an OPT; too long is cut off over UDP only', (t) => {
  const message = query('WeB', { type: 1, edns: 512 });
  const asked = queryOf(message);
  const answer = (n: number) => ({
    code: 0 as const,
    addresses: Array.from({ length: n }, (_, i) => Buffer.from([10, 0, 0, i])),
    ttlS: 30,
    authoritative: true,
  });
  const small = buildAnswer(message, asked, answer(2), true);
  t.like(readSeen(small), { id: 0x1234, code: 0, authoritative: true, additional: 1, ttls: [30, 30] });
  t.deepEqual(readSeen(small).addresses, ['10.0.0.0', '10.0.0.1']);
  t.deepEqual(small.subarray(12, 12 + 9), message.subarray(12, 12 + 9), 'also its upper-case letters');
  const cut = buildAnswer(message, asked, answer(100), true);
  t.like(readSeen(cut), { truncated: true, addresses: [] });
  t.true(cut.length <= 512);
  t.is(readSeen(buildAnswer(message, asked, answer(100), false)).addresses.length, 100);
});

test("a resolver's answer must have the id and the question, in any case of letters", (t) => {
  const asked = query('web.shop', { id: 5 });
  const { questionEnd } = queryOf(asked);
  const good = resolverAnswer(asked, ['10.0.0.1']);
  t.deepEqual(readAnswer(good, asked, questionEnd, 5), { code: 0, truncated: false, answers: 1 });
  t.is(readAnswer(good, asked, questionEnd, 6), null);
  t.is(readAnswer(resolverAnswer(query('web.shoq', { id: 5 }), []), asked, questionEnd, 5), null);
  t.is(readAnswer(resolverAnswer(query('web.shop', { id: 5, type: 28 }), []), asked, questionEnd, 5), null);
  t.is(readAnswer(asked, asked, questionEnd, 5), null, 'a question is no answer');
  t.not(readAnswer(resolverAnswer(query('WEB.Shop', { id: 5 }), []), asked, questionEnd, 5), null);
  for (let length = 0; length < questionEnd; length++) {
    t.is(readAnswer(good.subarray(0, length), asked, questionEnd, 5), null);
  }
  const without = Buffer.from(good.subarray(0, 12));
  without.writeUInt16BE(0, 4);
  t.is(readAnswer(without, asked, questionEnd, 5), null);
  without.writeUInt16BE(0x8181, 2);
  t.like(readAnswer(without, asked, questionEnd, 5), { code: 1 });
});
