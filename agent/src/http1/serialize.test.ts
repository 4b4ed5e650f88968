import http from 'node:http';
import { Duplex } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import { Head, staticHeader } from './head.ts';
import { methodText } from './known-headers.ts';
import { parseRequestHead, parseResponseHead } from './parse-head.ts';
import { frameChunk, headCapacity, writeAllFields, writeRequest, writeStatusLine } from './serialize.ts';

const limits = { maxBytes: 61_440, maxHeaders: 100 };

function parsed(text: string): Head {
  const bytes = Buffer.from(text, 'latin1');
  const head = new Head();
  if (parseRequestHead(bytes, 0, bytes.length, head, limits) !== bytes.length) throw new Error(`not a head: ${text}`);
  head.take(bytes, 0);
  return head;
}

function written(head: Head): string {
  const out = Buffer.alloc(headCapacity(head));
  return `${out.toString('latin1', 0, writeRequest(head, out, 0))}\r\n`;
}

test('a canonical head comes out as it went in, names in lower case', (t) => {
  t.is(
    written(parsed('GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n')),
    'GET /a?b HTTP/1.1\r\nhost: h\r\nx-a: b\r\n\r\n',
  );
});

test('what is not canonical is written anew', (t) => {
  t.is(
    written(parsed('GET \t/a  HTTP/1.1\r\nHost:h\r\nX-A:   b \t\r\nc: d\r\nempty:\r\n\r\n')),
    'GET /a HTTP/1.1\r\nhost: h\r\nx-a: b\r\nc: d\r\nempty: \r\n\r\n',
  );
});

test('edits: remove, replace in place, append, new target', (t) => {
  const head = parsed('GET /a HTTP/1.1\r\nhost: h\r\nx-a: 1\r\ngone: x\r\nx-a: 2\r\nkeep: k\r\n\r\n');
  head.removeName('gone');
  head.set('x-a', 'new');
  head.add('x-b', 'added');
  head.addStatic(staticHeader('x-request-id', 'id'));
  head.setTarget('/rewritten?q');
  t.is(head.text(head.targetStart, head.queryStart), '/rewritten');
  t.is(
    written(head),
    'GET /rewritten?q HTTP/1.1\r\nhost: h\r\nx-a: new\r\nkeep: k\r\nx-b: added\r\nx-request-id: id\r\n\r\n',
  );
  t.is(head.get('x-request-id'), 'id');
  t.deepEqual(head.getAll('x-a'), ['new']);
});

test('a head grows beyond its first memory, and gives it back', (t) => {
  const head = parsed('GET / HTTP/1.1\r\nhost: h\r\n\r\n');
  for (let i = 0; i < 200; i++) head.add(`x-${i}`, 'v'.repeat(100));
  const text = written(head);
  t.is(text.split('\r\n').length, 204);
  t.true(head.bytes.length > 8192);
  head.shrink();
  t.true(head.bytes.length <= 8192);
});

test('responses', (t) => {
  const bytes = Buffer.from('HTTP/1.1 404 Nope\r\nA: b\r\n\r\n');
  const head = new Head();
  t.is(parseResponseHead(bytes, 0, bytes.length, head, limits), bytes.length);
  head.take(bytes, 0);
  const out = Buffer.alloc(headCapacity(head));
  const n = writeAllFields(
    head,
    out,
    writeStatusLine(head.status, () => 'Not Found', out, 0),
  );
  t.is(out.toString('latin1', 0, n), 'HTTP/1.1 404 Not Found\r\na: b\r\n');
});

test('a chunk is framed in place', (t) => {
  const b = Buffer.alloc(400, '.');
  b.fill('x', 20, 20 + 0x123);
  t.is(frameChunk(b, 20, 20 + 0x123), 15);
  t.is(b.toString('latin1', 15, 20), '123\r\n');
  t.is(b.toString('latin1', 20 + 0x123, 22 + 0x123), '\r\n');
});

const tokenText = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
const valueText = fc.stringMatching(/^([!-~\u0080-\u00ff]([ \t!-~\u0080-\u00ff]{0,30}[!-~\u0080-\u00ff])?)?$/);
const targetText = fc.stringMatching(/^\/[!"$-~]{0,30}$/).filter((s) => !s.includes('#'));
const framing = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade', 'expect', 'te']);
const field = fc.tuple(
  tokenText.filter((n) => !framing.has(n.toLowerCase())),
  fc.constantFrom('', ' ', '\t', '   '),
  valueText,
  fc.constantFrom('', ' ', '\t '),
);
const request = fc.record({
  method: fc.constantFrom(...methodText.filter((m) => m !== '' && m !== 'CONNECT')),
  target: targetText,
  fields: fc.array(field, { maxLength: 20 }),
});

type Generated = {
  readonly method: string;
  readonly target: string;
  readonly fields: [string, string, string, string][];
};

function textOf(r: Generated): string {
  const fields = r.fields.map(([name, before, value, after]) => `${name}:${before}${value}${after}\r\n`).join('');
  return `${r.method} ${r.target} HTTP/1.1\r\nHost: example\r\n${fields}\r\n`;
}

test('generated requests survive a round trip', (t) => {
  fc.assert(
    fc.property(request, (r) => {
      const head = parsed(textOf(r));
      t.is(methodText[head.method], r.method);
      t.is(head.text(head.targetStart, head.targetEnd), r.target);
      const seen = Array.from({ length: head.count }, (_, i) => [head.name(i), head.value(i)]);
      t.deepEqual(seen, [['host', 'example'], ...r.fields.map(([n, , v]) => [n.toLowerCase(), v])]);
      const again = parsed(written(head));
      t.is(written(again), written(head));
    }),
    { numRuns: 500 },
  );
});

/** What Node's own parser makes of the bytes: method, target and raw headers. */
function parsedByNode(text: string): Promise<{ method: string; url: string; raw: readonly string[] }> {
  return new Promise((resolve, reject) => {
    const server = http.createServer({ insecureHTTPParser: false }, (req) => {
      resolve({ method: req.method ?? '', url: req.url ?? '', raw: req.rawHeaders });
      socket.destroy();
    });
    server.on('clientError', reject);
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    server.emit('connection', socket);
    socket.push(Buffer.from(text, 'latin1'));
  });
}

test("well-formed requests mean to us what they mean to Node's parser", async (t) => {
  // Methods both know; what we refuse and Node accepts is in the table of rejected requests.
  const common = request.filter((r) => http.METHODS.includes(r.method));
  await fc.assert(
    fc.asyncProperty(common, async (r) => {
      const text = textOf(r);
      const theirs = await parsedByNode(text);
      const head = parsed(text);
      t.is(methodText[head.method], theirs.method);
      t.is(head.text(head.targetStart, head.targetEnd), theirs.url);
      const ours = Array.from({ length: head.count }, (_, i) => [head.name(i), head.value(i)]).flat();
      const raw = theirs.raw.map((s, i) => (i % 2 === 0 ? s.toLowerCase() : s));
      t.deepEqual(ours, raw);
    }),
    { numRuns: 150 },
  );
});
