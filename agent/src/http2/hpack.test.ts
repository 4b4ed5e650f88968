import test, { type ExecutionContext } from 'ava';
import { setRequestId } from '../http/request-id.ts';
import { Head, staticHeader } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { parseRequestHead } from '../http1/parse-head.ts';
import { viewOf } from '../http1/words.ts';
import { headVerdict } from './head-assembly.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { encodedBound, HpackEncoder } from './hpack-encoder.ts';
import { decodeBlock, fieldsOf, literals, requestLine, wideLimits } from './testing/hpack.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** Appendix C.3 and C.4: three requests on one connection. */
const requests: Readonly<Record<string, readonly string[]>> = {
  'without Huffman': [
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ],
  'with Huffman': [
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
    '8286 84be 5886 a8eb 1064 9cbf',
    '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  ],
};

for (const [how, blocks] of Object.entries(requests)) {
  test(`RFC 7541 appendix C, requests ${how}`, (t) => {
    const decoder = new HpackDecoder();
    const heads = blocks.map((block) => decodeBlock(decoder, hex(block)));
    t.true(heads.every((h) => h.ok && h.verdict === headVerdict.ok));
    t.deepEqual(
      heads.map((h) => [requestLine(h.head), ...fieldsOf(h.head)]),
      [
        ['GET / http', 'host: www.example.com'],
        ['GET / http', 'host: www.example.com', 'cache-control: no-cache'],
        ['GET /index.html https', 'host: www.example.com', 'custom-key: custom-value'],
      ],
    );
  });
}

/** Appendix C.5 and C.6: a table of 256 bytes, so that entries are evicted. */
const responses: Readonly<Record<string, readonly string[]>> = {
  'without Huffman': [
    `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e
     1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
    '4803 3330 37c1 c0bf',
    `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
     4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572
     7369 6f6e 3d31`,
  ],
  'with Huffman': [
    `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b
     97c8 e9ae 82ae 43d3`,
    '4883 640e ffc1 c0bf',
    `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
     cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
  ],
};

for (const [how, blocks] of Object.entries(responses)) {
  test(`RFC 7541 appendix C, responses ${how}`, (t) => {
    const decoder = new HpackDecoder();
    // The table has 256 bytes in the examples, which a size update says.
    const [first, ...others] = blocks.map(hex);
    const heads = [Buffer.concat([hex('3fe101'), first ?? hex('')]), ...others].map((b) =>
      decodeBlock(decoder, b, 'response'),
    );
    t.deepEqual(
      heads.map((h) => [h.ok, h.verdict, h.head.status, ...fieldsOf(h.head)]),
      [
        [
          true,
          0,
          302,
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:21 GMT',
          'location: https://www.example.com',
        ],
        [
          true,
          0,
          307,
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:21 GMT',
          'location: https://www.example.com',
        ],
        [
          true,
          0,
          200,
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:22 GMT',
          'location: https://www.example.com',
          'content-encoding: gzip',
          'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
        ],
      ],
    );
  });
}

for (const [what, block] of [
  ['index 0', '80'],
  ['an index beyond the tables', 'be'],
  ['a literal with a name beyond the tables', '7f00 0161'],
  ['an integer that does not end', 'ff80808080'],
  ['an integer of more than 28 bits', 'ffffffffffff7f'],
  ['an integer cut off', 'ff'],
  ['a string longer than the block', '00 03 6162'],
  ['a name without a value', '00 0161'],
  ['a table larger than was announced', '3fe21f'],
  ['a size update behind a field', '82 20'],
  ['a broken Huffman code', '00 0161 81ff'],
] as const) {
  test(`compression error: ${what}`, (t) => {
    t.false(decodeBlock(new HpackDecoder(), hex(block)).ok);
  });
}

test('a smaller table has to be confirmed by the peer before its next field', (t) => {
  const decoder = new HpackDecoder();
  decoder.setLimit(0);
  t.false(decodeBlock(decoder, hex('828684 4101 61')).ok);
  const other = new HpackDecoder();
  other.setLimit(0);
  t.true(decodeBlock(other, hex('20 828684 4101 61')).ok);
});

const valid: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a'],
  [':path', '/'],
];
type Fields = readonly (readonly [string, string])[];
const without = (name: string): Fields => valid.filter(([n]) => n !== name);

const malformed: readonly (readonly [what: string, fields: Fields])[] = [
  ['no :method', without(':method')],
  ['no :scheme', without(':scheme')],
  ['no :path', without(':path')],
  ['neither :authority nor host', without(':authority')],
  ['two :method', [...valid, [':method', 'GET']]],
  ['two :path', [...valid, [':path', '/']]],
  ['two :authority', [...valid, [':authority', 'a']]],
  ['two :scheme', [...valid, [':scheme', 'http']]],
  ['an unknown pseudo-header', [...valid, [':test', 'x']]],
  [':status in a request', [...valid, [':status', '200']]],
  [':protocol without leave', [...valid, [':protocol', 'websocket']]],
  ['a pseudo-header behind a field', [...without(':path'), ['x', 'y'], [':path', '/']]],
  ['an empty :path', [...without(':path'), [':path', '']]],
  ['a :path without a slash', [...without(':path'), [':path', 'x']]],
  ['* for GET', [...without(':path'), [':path', '*']]],
  ['a space in :path', [...without(':path'), [':path', '/a b']]],
  ['a high byte in :path', [...without(':path'), [':path', '/\xe9']]],
  ['a slash in :authority', [...without(':authority'), [':authority', 'a/b']]],
  ['user information in :authority', [...without(':authority'), [':authority', 'u@a']]],
  ['a space in :method', [...without(':method'), [':method', 'G T']]],
  ['an empty :method', [...without(':method'), [':method', '']]],
  ['a scheme that is none', [...without(':scheme'), [':scheme', 'ht tp']]],
  ['an upper-case name', [...valid, ['X-A', 'b']]],
  ['an empty name', [...valid, ['', 'b']]],
  ['a space in a name', [...valid, ['x a', 'b']]],
  ['a colon in a name', [...valid, ['x:a', 'b']]],
  ['CR in a value', [...valid, ['x', 'a\rb']]],
  ['LF in a value', [...valid, ['x', 'a\nb']]],
  ['NUL in a value', [...valid, ['x', 'a\0b']]],
  ['a control character in a value', [...valid, ['x', 'a\x01b']]],
  ['a space before a value', [...valid, ['x', ' a']]],
  ['a tab behind a value', [...valid, ['x', 'a\t']]],
  ['connection', [...valid, ['connection', 'close']]],
  ['keep-alive', [...valid, ['keep-alive', '5']]],
  ['proxy-connection', [...valid, ['proxy-connection', 'x']]],
  ['transfer-encoding', [...valid, ['transfer-encoding', 'chunked']]],
  ['upgrade', [...valid, ['upgrade', 'x']]],
  ['te: gzip', [...valid, ['te', 'trailers, gzip']]],
  ['two content-length', [...valid, ['content-length', '1'], ['content-length', '1']]],
  ['content-length: x', [...valid, ['content-length', 'x']]],
  ['two host', [...without(':authority'), ['host', 'a'], ['host', 'a']]],
  ['a bad host', [...valid, ['host', 'a b']]],
  ['CONNECT with a path', [[':method', 'CONNECT'], ...without(':method')]],
  ['CONNECT without an authority', [[':method', 'CONNECT']]],
];

for (const [what, fields] of malformed) {
  test(`malformed request: ${what}; literal, and out of the table`, (t) => {
    const decoder = new HpackDecoder();
    const block = literals(...fields);
    const once = decodeBlock(decoder, block);
    t.deepEqual([once.ok, once.verdict], [true, headVerdict.malformed]);
    // The same as literals with indexing: 0x40 in place of 0, at the beginning of each field.
    const indexed = Buffer.concat(fields.map((f) => Buffer.concat([Buffer.from([0x40]), literals(f).subarray(1)])));
    t.is(decodeBlock(decoder, indexed).verdict, headVerdict.malformed);
    const references = Buffer.from(fields.map((_, i) => 0x80 | (61 + fields.length - i)));
    const again = decodeBlock(decoder, references);
    t.deepEqual([again.ok, again.verdict], [true, headVerdict.malformed]);
    const next = decodeBlock(decoder, literals(...valid));
    t.deepEqual([next.ok, next.verdict], [true, headVerdict.ok], 'the connection goes on');
  });
}

test('what a request becomes', (t) => {
  const { head, verdict } = decodeBlock(
    new HpackDecoder(),
    literals(
      [':path', '/a/./b//c?x=/..'],
      [':authority', 'h:80'],
      [':method', 'POST'],
      [':scheme', 'https'],
      ['content-length', '12'],
      ['te', 'trailers'],
      ['x-a', 'one'],
    ),
  );
  t.is(verdict, headVerdict.ok);
  t.is(head.method, method.POST);
  t.is(head.version, 20);
  t.is(requestLine(head), 'POST /a/./b//c?x=/.. https');
  t.is(head.text(head.targetStart, head.queryStart), '/a/./b//c');
  t.is(head.contentLength, 12);
  t.deepEqual(fieldsOf(head), ['host: h:80', 'content-length: 12', 'te: trailers', 'x-a: one']);
});

test('the marks of a path are those that the HTTP/1.1 parser finds', (t) => {
  for (const path of ['/', '/a%2fb', '/a/../b', '/a//b', '/a\\b', '/.x', '/?a//b%', '/a/.?b', '//']) {
    const { head } = decodeBlock(new HpackDecoder(), literals(...without(':path'), [':path', path]));
    const h1 = new Head();
    const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
    t.true(parseRequestHead(bytes, 0, bytes.length, h1, wideLimits) > 0);
    t.is(head.pathMarks, h1.pathMarks, path);
    t.is(head.queryStart - head.targetStart, h1.queryStart - h1.targetStart, path);
  }
});

test('a method without a number is kept as text', (t) => {
  const { head, verdict } = decodeBlock(new HpackDecoder(), literals(...without(':method'), [':method', 'BREW']));
  t.is(verdict, headVerdict.ok);
  t.is(head.method, 0);
  t.is(head.methodName(), 'BREW');
});

test(':authority has the say over host', (t) => {
  const { head } = decodeBlock(new HpackDecoder(), literals(...valid, ['host', 'other']));
  t.deepEqual(fieldsOf(head), ['host: a']);
  const alone = decodeBlock(new HpackDecoder(), literals(...without(':authority'), ['host', 'b']));
  t.deepEqual(fieldsOf(alone.head), ['host: b']);
});

test('CONNECT, and extended CONNECT where it is allowed', (t) => {
  const connect = decodeBlock(new HpackDecoder(), literals([':method', 'CONNECT'], [':authority', 'a:443']));
  t.is(connect.verdict, headVerdict.ok);
  t.is(requestLine(connect.head), 'CONNECT a:443 ');
  const block = literals([':method', 'CONNECT'], [':protocol', 'websocket'], ...without(':method'));
  t.is(decodeBlock(new HpackDecoder(), block).verdict, headVerdict.malformed);
  const extended = decodeBlock(new HpackDecoder(), block, 'request', wideLimits, true);
  t.is(extended.verdict, headVerdict.ok);
  t.is(extended.head.text(extended.head.protocolStart, extended.head.protocolEnd), 'websocket');
});

test('crumbs of a cookie become one field, wherever they stand', (t) => {
  const { head } = decodeBlock(
    new HpackDecoder(),
    literals(...valid, ['cookie', 'a=b'], ['x', 'y'], ['cookie', 'c=d'], ['cookie', 'e=f']),
  );
  t.deepEqual(fieldsOf(head), ['host: a', 'cookie: a=b; c=d; e=f', 'x: y']);
  t.is(head.get('cookie'), 'a=b; c=d; e=f');
});

test('limits count every crumb and every reference, and the connection goes on', (t) => {
  const limits = { maxBytes: 1000, maxHeaders: 10 };
  const decoder = new HpackDecoder();
  const big = Buffer.concat([Buffer.from([0x40]), literals(['x', 'v'.repeat(300)]).subarray(1)]);
  t.is(decodeBlock(decoder, Buffer.concat([literals(...valid), big]), 'request', limits).verdict, headVerdict.ok);
  const bomb = Buffer.concat([literals(...valid), Buffer.alloc(16_000, 0xbe)]);
  const { verdict, head } = decodeBlock(decoder, bomb, 'request', limits);
  t.is(verdict, headVerdict.tooLarge);
  t.true(head.bytes.length < 8192, 'memory does not grow with the bomb');
  const crumbs = literals(...valid, ...Array.from({ length: 11 }, (): [string, string] => ['cookie', 'a']));
  t.is(decodeBlock(decoder, crumbs, 'request', limits).verdict, headVerdict.tooManyHeaders);
  t.is(decodeBlock(decoder, literals(...valid), 'request', limits).verdict, headVerdict.ok);
});

for (const [what, fields] of [
  ['no :status', [['x', 'y']]],
  ['101', [[':status', '101']]],
  ['two digits', [[':status', '20']]],
  ['below 100', [[':status', '099']]],
  ['letters', [[':status', 'abc']]],
  [
    'two :status',
    [
      [':status', '200'],
      [':status', '200'],
    ],
  ],
  [
    ':path',
    [
      [':status', '200'],
      [':path', '/'],
    ],
  ],
  [
    'connection',
    [
      [':status', '200'],
      ['connection', 'close'],
    ],
  ],
] as const) {
  test(`malformed response: ${what}`, (t) => {
    t.is(decodeBlock(new HpackDecoder(), literals(...fields), 'response').verdict, headVerdict.malformed);
  });
}

test('trailers have no pseudo-headers, and lose what would change the framing', (t) => {
  t.is(decodeBlock(new HpackDecoder(), literals([':status', '200']), 'trailers').verdict, headVerdict.malformed);
  const { head, verdict } = decodeBlock(
    new HpackDecoder(),
    literals(['grpc-status', '0'], ['content-length', '5'], ['host', 'x']),
    'trailers',
  );
  t.is(verdict, headVerdict.ok);
  t.deepEqual(fieldsOf(head), ['grpc-status: 0']);
});

function request(text: string): Head {
  const head = new Head();
  const bytes = Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');
  if (parseRequestHead(bytes, 0, bytes.length, head, wideLimits) <= 0) throw new Error('not a head');
  head.take(bytes, 0);
  return head;
}

function encode(encoder: HpackEncoder, head: Head): Buffer {
  const to = Buffer.alloc(encodedBound(head));
  return to.subarray(0, encoder.request(head, 'http', viewOf(to), 0));
}

test('a request of HTTP/1.1 is encoded without what belongs to the connection, and comes back', (t) => {
  const head = request(
    'PUT /p?q HTTP/1.1\nHost: a:1\nConnection: close\nTE: trailers, gzip\nTransfer-Encoding: chunked\nUpgrade: x\nX-A:  b \ncookie: short\n\n',
  );
  const decoder = new HpackDecoder();
  const encoder = new HpackEncoder(4096);
  const sizes: number[] = [];
  for (let i = 0; i < 4; i++) {
    const block = encode(encoder, head);
    sizes.push(block.length);
    const back = decodeBlock(decoder, block);
    t.deepEqual([back.ok, back.verdict], [true, headVerdict.ok]);
    t.is(requestLine(back.head), 'PUT /p?q http');
    t.deepEqual(fieldsOf(back.head), ['host: a:1', 'x-a: b', 'cookie: short']);
  }
  // Seen for the second time a field is indexed, from the third on it is a byte; the short cookie never.
  t.true((sizes[2] ?? 0) < 16, String(sizes));
  t.is(sizes[2], sizes[3]);
});

test('what was decoded is encoded again by its identity, also after a change', (t) => {
  const [decoder, encoder, last] = [new HpackDecoder(), new HpackEncoder(4096), new HpackDecoder()];
  const first = new HpackEncoder(4096);
  const source = request('GET /path HTTP/1.1\nhost: a\nuser-agent: something long\naccept: */*\n\n');
  for (let i = 0; i < 5; i++) {
    const { head } = decodeBlock(decoder, encode(first, source));
    head.set('accept', `text/${i}`);
    head.setTarget(`/other/${i}`);
    head.addStatic(staticHeader('x-added', 'yes'));
    const back = decodeBlock(last, encode(encoder, head));
    t.is(requestLine(back.head), `GET /other/${i} http`);
    t.deepEqual(fieldsOf(back.head), ['host: a', 'user-agent: something long', `accept: text/${i}`, 'x-added: yes']);
  }
});

test('of values that differ each time only the name is kept', (t) => {
  const [decoder, encoder] = [new HpackDecoder(), new HpackEncoder(4096)];
  const values = Array.from({ length: 6 }, (_, i) => `00-${String(i).repeat(32)}-01`);
  const sizes = values.map((value) => {
    const block = encode(encoder, request(`GET / HTTP/1.1\nhost: a\ntraceparent: ${value}\n\n`));
    t.deepEqual(fieldsOf(decodeBlock(decoder, block).head), ['host: a', `traceparent: ${value}`]);
    return block.length;
  });
  // Twice with its name, of which the second stays in the table; then a reference to that one.
  t.deepEqual(sizes.slice(2), new Array(4).fill(4 + 2 + 1 + 38), String(sizes));
});

/** Sizes of the blocks of these fields in turn, each decoded and compared. */
function settledSizes(t: ExecutionContext, messages: readonly (readonly string[])[]): readonly number[] {
  const [decoder, encoder] = [new HpackDecoder(), new HpackEncoder(4096)];
  return messages.map((fields) => {
    const block = encode(encoder, request(`GET / HTTP/1.1\nhost: a\n${fields.join('\n')}\n\n`));
    t.deepEqual(fieldsOf(decodeBlock(decoder, block).head), ['host: a', ...fields]);
    return block.length;
  });
}

test('regression: fields whose hashes fall together do not push each other out for ever', (t) => {
  // Of 60 fields some always fall together; each was inserted again with every message, and pushed out the others.
  const fields = Array.from({ length: 60 }, (_, i) => `x-${i}: ${'v'.repeat(i % 9)}`);
  const sizes = settledSizes(t, new Array(8).fill(fields));
  t.deepEqual(sizes.slice(4), new Array(4).fill(4 + 60), String(sizes));
});

test('regression: names whose hashes fall together stay, whatever their values are', (t) => {
  const names = Array.from({ length: 40 }, (_, i) => `x-trace-${i}`);
  const sizes = settledSizes(
    t,
    Array.from({ length: 12 }, (_, n) => names.map((name, i) => `${name}: ${n + 10}.${i + 10}`)),
  );
  const value = '10.10'.length;
  t.deepEqual(sizes.slice(8), new Array(4).fill(4 + 40 * (2 + 1 + value)), String(sizes));
});

test('regression: lines of many connections keep their identity towards one upstream', (t) => {
  const ids = Array.from({ length: 100 }, () => {
    const [decoder, encoder] = [new HpackDecoder(), new HpackEncoder(4096)];
    const source = request('GET /path HTTP/1.1\nhost: a\nuser-agent: something long\nx-b: c\n\n');
    let head = source;
    for (let i = 0; i < 3; i++) head = decodeBlock(decoder, encode(encoder, source)).head;
    return [head.targetId, ...head.ids.subarray(0, head.idCount)].join(' ');
  });
  t.is(new Set(ids).size, 1, ids.slice(0, 3).join(', '));
  t.notRegex(ids[0] as string, /\b0\b/);
});

test('regression: a request id that happens to come twice does not become the id of every request after it', (t) => {
  const [decoder, encoder] = [new HpackDecoder(), new HpackEncoder(4096)];
  const ids = [0.25, 0.25, 0.5, 0.75].map((random) => {
    const head = request('GET / HTTP/1.1\nhost: a\n\n');
    const own = decodeBlock(new HpackDecoder(), encode(new HpackEncoder(4096), head)).head;
    setRequestId(own, () => random);
    const back = decodeBlock(decoder, encode(encoder, own)).head;
    t.is(back.get('x-request-id'), own.get('x-request-id'));
    return own.get('x-request-id');
  });
  t.is(new Set(ids).size, 3);
});

test('a peer without a table gets literals, and is told so', (t) => {
  const encoder = new HpackEncoder(4096);
  encoder.setPeerLimit(0);
  const decoder = new HpackDecoder();
  decoder.setLimit(0);
  const head = request('GET /path HTTP/1.1\nhost: a\nx: y\n\n');
  for (let i = 0; i < 4; i++) {
    const { ok, head: back } = decodeBlock(decoder, encode(encoder, head));
    t.true(ok);
    t.deepEqual(fieldsOf(back), ['host: a', 'x: y']);
  }
});

test('a table that shrinks and grows again is announced with its smallest size', (t) => {
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder();
  const head = request('GET /path HTTP/1.1\nhost: a\nx: y\n\n');
  for (let i = 0; i < 12; i++) {
    if (i % 4 === 3) {
      encoder.setPeerLimit(0);
      encoder.setPeerLimit(2048);
    }
    const { ok, head: back } = decodeBlock(decoder, encode(encoder, head));
    t.true(ok, `block ${i}`);
    t.deepEqual(fieldsOf(back), ['host: a', 'x: y']);
  }
});

test('secrets are never indexed, nor what came so', (t) => {
  const encoder = new HpackEncoder(4096);
  const head = request('GET / HTTP/1.1\nhost: a\nauthorization: Bearer x\n\n');
  for (let i = 0; i < 3; i++) t.true(encode(encoder, head).includes('Bearer x'));
  const never = Buffer.concat([literals(...valid), Buffer.from([0x10, 1, 120, 1, 121])]);
  const other = new HpackEncoder(4096);
  for (let i = 0; i < 3; i++) {
    const block = encode(other, decodeBlock(new HpackDecoder(), never).head);
    t.true(block.includes(Buffer.from([0x10, 1, 120, 1, 121])));
  }
});

test('blocks that begin alike are read from memos: what follows differs, and so does the meaning of the indexes', (t) => {
  const [decoder, plain] = [new HpackDecoder(), new HpackDecoder(false)];
  const limits = { maxBytes: 2000, maxHeaders: 12 };
  const insert = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([0x40]), literals([name, value]).subarray(1)]);
  const start = hex('828684 4101 61');
  const run = hex('828684 be bf c0');
  const blocks: Buffer[] = [Buffer.concat([start, insert('x', 'y'), insert('content-length', '5')])];
  for (let i = 0; i < 8; i++) {
    for (let k = 0; k < 4; k++) blocks.push(Buffer.concat([run, literals(['x-unique', String(k)], ['cookie', 'a=b'])]));
    blocks.push(run, Buffer.concat([run, hex('c0')]), Buffer.concat([run, Buffer.alloc(20, 0xc0)]));
    blocks.push(
      Buffer.concat([hex('828684'), insert(':authority', `h${i}`), insert(i % 2 === 0 ? 'te' : 'x', 'trailers')]),
    );
    if (i === 5) blocks.push(Buffer.concat([hex('20 3fe11f'), start, insert('a', 'b'), insert('c', 'd')]));
  }
  for (const kind of ['request', 'trailers', 'request', 'ignored', 'request'] as const) {
    for (const [i, block] of blocks.entries()) {
      const [one, two] = [decodeBlock(decoder, block, kind, limits), decodeBlock(plain, block, kind, limits)];
      t.deepEqual([one.ok, one.verdict], [two.ok, two.verdict], `${kind} ${i}`);
      if (one.verdict !== 0) continue;
      t.deepEqual(fieldsOf(one.head), fieldsOf(two.head), `${kind} ${i}`);
      t.is(requestLine(one.head), requestLine(two.head));
      t.is(one.head.contentLength, two.head.contentLength);
    }
  }
});

test('whole blocks that repeat are read from memos, literals of them too, until something enters the table', (t) => {
  const [decoder, plain] = [new HpackDecoder(), new HpackDecoder(false)];
  const insert = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([0x40]), literals([name, value]).subarray(1)]);
  const never = Buffer.concat([Buffer.from([0x10]), literals(['x-secret', 's']).subarray(1)]);
  const start = Buffer.concat([literals([':path', '/a?b']), hex('82 86'), insert(':authority', 'a'), insert('x', 'y')]);
  const alike = Buffer.concat([literals([':path', '/a?b']), hex('82 86 bf be 0f0d 02 3130')]);
  const secret = Buffer.concat([alike, never]);
  const other = Buffer.concat([literals([':path', '/b?b']), hex('82 86 bf be 0f0d 02 3130')]);
  const change = Buffer.concat([literals([':path', '/']), hex('82 86'), insert(':authority', 'b'), insert('x', 'z')]);
  const turns = [start, ...[alike, other, secret].flatMap((block) => [block, block, block, block])];
  for (const [i, block] of [...turns, change, ...turns.slice(1)].entries()) {
    const [one, two] = [decodeBlock(decoder, block), decodeBlock(plain, block)];
    t.deepEqual([one.ok, one.verdict], [true, headVerdict.ok], `block ${i}`);
    t.deepEqual([requestLine(one.head), ...fieldsOf(one.head)], [requestLine(two.head), ...fieldsOf(two.head)]);
    t.deepEqual([one.head.queryStart, one.head.contentLength], [two.head.queryStart, two.head.contentLength]);
    t.deepEqual([...one.head.ids.subarray(0, one.head.idCount)], [...two.head.ids.subarray(0, two.head.idCount)]);
  }
  const small = { maxBytes: 40, maxHeaders: 100 };
  t.is(decodeBlock(decoder, secret, 'request', small).verdict, headVerdict.tooLarge, 'limits may have changed since');
  t.is(decodeBlock(decoder, other, 'request', small).verdict, headVerdict.tooLarge);
});

test('regression: a method, scheme or protocol of a name of its own comes out of a memo as well', (t) => {
  const insert = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([0x40]), literals([name, value]).subarray(1)]);
  const decoder = new HpackDecoder();
  const first = [
    insert(':method', 'FROB'),
    insert(':scheme', 'coap'),
    insert(':protocol', 'x'),
    insert(':authority', 'a'),
  ];
  const blocks = [Buffer.concat([...first, hex('84')]), ...(new Array(4).fill(hex('c1 c0 be 84')) as Buffer[])];
  const lines = blocks.map((block) => requestLine(decodeBlock(decoder, block).head));
  t.deepEqual(lines.slice(1), new Array(4).fill('FROB / coap'));
  const upgrade = Buffer.concat([insert(':method', 'CONNECT'), hex('c0 bf c1 84')]);
  const again = hex('be c0 bf c1 84');
  const heads = [upgrade, again, again, again, again].map((b) => decodeBlock(decoder, b, 'request', wideLimits, true));
  t.deepEqual(
    heads.map(({ verdict, head }) => [verdict, head.text(head.protocolStart, head.protocolEnd)]),
    new Array(5).fill([headVerdict.ok, 'x']),
  );
});

test('an empty host out of the static table becomes :authority', (t) => {
  const { head } = decodeBlock(new HpackDecoder(), hex('828684 a6'));
  t.deepEqual(fieldsOf(head), ['host: ']);
  const back = decodeBlock(new HpackDecoder(), encode(new HpackEncoder(4096), head));
  t.deepEqual([back.verdict, ...fieldsOf(back.head)], [headVerdict.ok, 'host: ']);
});
