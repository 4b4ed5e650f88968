/** Heads beyond the read buffer's 64 KiB, as far as max_request_headers_kb and max_response_headers_kb allow. */
import test from 'ava';
import { FakeWorker } from './testing/fake-worker.ts';

const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const kib = 1024;

function request(bytes: number, fields = 1): string {
  const each = Math.floor((bytes - 200) / fields);
  const lines = Array.from({ length: fields }, (_, i) => `x-${i}: ${'v'.repeat(each - 12)}`);
  return `GET /a HTTP/1.1\r\nhost: a\r\n${lines.join('\r\n')}\r\n\r\n`;
}

function inPieces(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
}

for (const [kb, piece, fields] of [
  [96, 1460, 20],
  [96, 65_536, 1],
  [1000, 16_384, 60],
  [8192, 65_536, 90],
] as const) {
  test(`a head of ${kb} KiB in pieces of ${piece} bytes with ${fields} fields passes`, (t) => {
    const w = new FakeWorker({ manager: { maxRequestHeadersBytes: kb * kib } });
    const client = w.client();
    const text = request(kb * kib, fields);
    t.true(text.length > (kb - 2) * kib && text.length <= kb * kib);
    for (const part of inPieces(text, piece)) client.feed(part);
    const seen = w.upstream().take();
    t.true(seen.startsWith('GET /a HTTP/1.1\r\nhost: a\r\nx-0: vvv'));
    t.true(seen.length > text.length);
    t.is(seen.match(/\r\nx-\d+: v+/g)?.length, fields);
    w.upstream().feed(answer);
    t.true(client.take().startsWith('HTTP/1.1 200 OK\r\n'));
    client.feed('GET /b HTTP/1.1\r\nhost: a\r\n\r\n');
    t.true(w.upstream().take().startsWith('GET /b HTTP/1.1\r\n'), 'the next request is read as ever');
  });
}

test('one byte above the limit is refused, in one piece and in many', (t) => {
  for (const piece of [1460, 65_536]) {
    const w = new FakeWorker({ manager: { maxRequestHeadersBytes: 128 * kib } });
    const client = w.client();
    const text = request(128 * kib, 8);
    const longer = text.replace('x-0: ', `x-0: ${'v'.repeat(128 * kib - text.length + 1)}`);
    t.is(longer.length, 128 * kib + 1);
    for (const part of inPieces(longer, piece)) client.feed(part);
    t.true(client.take().startsWith('HTTP/1.1 431 Request Header Fields Too Large\r\n'));
  }
});

test('a large head without an end is refused once it is over the limit', (t) => {
  const w = new FakeWorker({ manager: { maxRequestHeadersBytes: 256 * kib } });
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nhost: a\r\n');
  for (let sent = 0; sent < 256 * kib; sent += 1000) client.feed(`${'x'.repeat(990)}: y\r\n`.slice(-1000));
  client.feed('x'.repeat(65_536));
  t.true(client.take().startsWith('HTTP/1.1 431 '));
});

test('a body behind a large head goes on behind it', (t) => {
  const w = new FakeWorker({ manager: { maxRequestHeadersBytes: 200 * kib } });
  const client = w.client();
  const head = request(150 * kib, 4)
    .replace('GET /a', 'POST /a')
    .replace('\r\nx-0', '\r\ncontent-length: 5\r\nx-0');
  for (const part of inPieces(`${head}hello`, 30_000)) client.feed(part);
  t.true(w.upstream().take().endsWith('\r\n\r\nhello'));
});

const response = (bytes: number, fields = 1): string =>
  request(bytes, fields).replace('GET /a HTTP/1.1\r\nhost: a', 'HTTP/1.1 200 OK\r\ncontent-length: 0');

/** Status line of what the client gets. */
function answered(maxBytes: number | null, maxHeaders: number, text: string, piece: number): string {
  const w = new FakeWorker(maxBytes === null ? {} : { cluster: { responseLimits: { maxBytes, maxHeaders } } });
  const client = w.client();
  client.feed('GET /a HTTP/1.1\r\nhost: a\r\n\r\n');
  for (const part of inPieces(text, piece)) w.upstream().feed(part);
  return client.take().split('\r\n')[0] ?? '';
}

test("an answer's head is as large as the cluster allows, in one piece and in many", (t) => {
  for (const piece of [1460, 65_536]) {
    t.is(answered(null, 0, response(78 * kib), piece), 'HTTP/1.1 200 OK', 'Envoy: 80 KiB');
    t.is(answered(null, 0, response(82 * kib), piece), 'HTTP/1.1 502 Bad Gateway');
    t.is(answered(1000 * kib, 100, response(999 * kib, 60), piece), 'HTTP/1.1 200 OK');
    t.is(answered(kib, 100, response(2 * kib), piece), 'HTTP/1.1 502 Bad Gateway');
    t.is(answered(80 * kib, 200, response(8 * kib, 150), piece), 'HTTP/1.1 200 OK');
    t.is(answered(80 * kib, 10, response(8 * kib, 20), piece), 'HTTP/1.1 502 Bad Gateway');
  }
});
