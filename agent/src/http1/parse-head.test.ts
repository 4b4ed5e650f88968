import test from 'ava';
import { Head } from './head.ts';
import { method } from './known-headers.ts';
import { parseRequestHead, parseResponseHead } from './parse-head.ts';
import { rejectionOf } from './rejection.ts';
import { acceptedRequests, rejectedRequests } from './testing/cases.ts';

const limits = { maxBytes: 61_440, maxHeaders: 100 };

/** Parses in the middle of a larger buffer, as it is done in a worker. */
function parse(text: string, max = limits): { readonly result: number; readonly head: Head } {
  const bytes = Buffer.from(`........${text}`, 'latin1');
  const head = new Head();
  const result = parseRequestHead(bytes, 8, bytes.length, head, max);
  if (result > 0) head.take(bytes, 8);
  return { result, head };
}

function parseResponse(text: string): { readonly result: number; readonly head: Head } {
  const bytes = Buffer.from(`........${text}`, 'latin1');
  const head = new Head();
  const result = parseResponseHead(bytes, 8, bytes.length, head, limits);
  if (result > 0) head.take(bytes, 8);
  return { result, head };
}

for (const c of acceptedRequests) {
  test(`accepted: ${c.name}; every beginning of it is incomplete`, (t) => {
    t.is(parse(`${c.text}tail`).result, c.text.length);
    for (let i = 0; i < c.text.length; i++) t.is(parse(c.text.slice(0, i)).result, 0, `after ${i} bytes`);
  });
}

for (const c of rejectedRequests) {
  test(`rejected with ${c.status}: ${c.name}; every beginning is incomplete or rejected the same`, (t) => {
    const { result } = parse(c.text);
    t.true(result < 0);
    const rejection = rejectionOf(result);
    t.is(rejection.status, c.status);
    t.is(rejection.phraseBody, c.empty !== true);
    let before = 0;
    for (let i = 0; i < c.text.length; i++) {
      const part = parse(c.text.slice(0, i)).result;
      t.true(part === 0 || rejectionOf(part).status === c.status, `${part} after ${i} bytes`);
      t.true(before === 0 || part < 0, `a rejected beginning stays rejected, after ${i} bytes`);
      before = part;
    }
  });
}

test('what is found in a request', (t) => {
  const { head } = parse(
    'POST /a/./b//c?x=/.. HTTP/1.1\r\nHost: h:80\r\nContent-Length:  12 \r\nX-A: one\r\nx-a:two\r\nConnection: close, X-Hop\r\n\r\n',
  );
  t.is(head.method, method.POST);
  t.is(head.text(head.targetStart, head.targetEnd), '/a/./b//c?x=/..');
  t.is(head.text(head.targetStart, head.queryStart), '/a/./b//c');
  t.is(head.contentLength, 12);
  t.is(head.get('host'), 'h:80');
  t.deepEqual(head.getAll('x-a'), ['one', 'two']);
  t.true(head.connectionClose);
  t.true(head.connectionNames);
  t.false(head.chunked);
  t.is(head.get('nothing'), null);
});

test('a name with the hash of a known one is not taken for it', (t) => {
  // 31 * 'h' + 'o' is 31 * 'j' + '1', so that the two names have one hash.
  const { result, head } = parse('GET / HTTP/1.1\r\nhost: a\r\nj1st: b\r\n\r\n');
  t.true(result > 0);
  t.deepEqual(head.getAll('host'), ['a']);
  t.is(head.get('j1st'), 'b');
});

test('absolute targets are split', (t) => {
  const { head } = parse('GET http://u:p@Ex.com:8080/p?q HTTP/1.1\r\nhost: ex.com:8080\r\n\r\n');
  t.is(head.text(head.authorityStart, head.authorityEnd), 'Ex.com:8080');
  t.is(head.text(head.targetStart, head.targetEnd), '/p?q');
});

test('limits: bytes and fields, complete or not', (t) => {
  const small = { maxBytes: 64, maxHeaders: 2 };
  t.is(rejectionOf(parse(`GET /${'a'.repeat(100)}`, small).result).status, 431);
  t.is(rejectionOf(parse(`GET / HTTP/1.1\r\nhost: ${'a'.repeat(100)}\r\n\r\n`, small).result).status, 431);
  t.is(rejectionOf(parse('GET / HTTP/1.1\r\nhost: a\r\nb: c\r\nd: e\r\n\r\n', small).result).status, 431);
  t.true(parse('GET / HTTP/1.1\r\nhost: a\r\nb: c\r\n\r\n', small).result > 0);
});

const responses: readonly (readonly [name: string, text: string])[] = [
  ['plain', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
  ['no reason phrase', 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n'],
  ['empty reason phrase', 'HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['status 999', 'HTTP/1.1 999 Odd\r\n\r\n'],
  ['bare LF', 'HTTP/1.1 200 OK\nx: y\ncontent-length: 0\n\n'],
  ['equal content-length twice', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n'],
  ['304 with content-length', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n'],
];

for (const [name, text] of responses) {
  test(`response accepted: ${name}; every beginning of it is incomplete`, (t) => {
    t.is(parseResponse(`${text}tail`).result, text.length);
    for (let i = 0; i < text.length; i++) t.is(parseResponse(text.slice(0, i)).result, 0, `after ${i} bytes`);
  });
}

test('folded response lines are joined', (t) => {
  const { result, head } = parseResponse('HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\tc \r\ny: z\r\n\r\n');
  t.true(result > 0);
  t.regex(head.get('x') ?? '', /^a +b +\tc$/);
  t.is(head.get('y'), 'z');
});

const badResponses: readonly (readonly [name: string, text: string])[] = [
  ['two different content-length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n'],
  ['CL with TE', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['NUL in a value', 'HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n'],
  ['space in a name', 'HTTP/1.1 200 OK\r\nx y: z\r\n\r\n'],
  ['status 099', 'HTTP/1.1 099 X\r\n\r\n'],
  ['status 20', 'HTTP/1.1 20 X\r\n\r\n'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ['leading CRLF', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['204 with content-length', 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n'],
  ['204 with transfer-encoding', 'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['transfer-encoding gzip', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n'],
  ['not HTTP', 'SSH-2.0-OpenSSH\r\n'],
];

for (const [name, text] of badResponses) {
  test(`response rejected: ${name}`, (t) => {
    t.true(parseResponse(text).result < 0);
  });
}
