import test from 'ava';
import { acceptedRequests } from '../http1/testing/cases.ts';
import { FakeWorker } from './testing/fake-worker.ts';

const spec = { acceptHttp10: true, defaultHostForHttp10: 'default' } as const;

/** What the upstream and the client get for these pieces; the upstream answers when the request is complete. */
function run(pieces: readonly string[], answer: readonly string[]): { readonly up: string; readonly down: string } {
  const w = new FakeWorker({ manager: spec });
  const client = w.client();
  for (const piece of pieces) client.feed(piece);
  if (w.dialled.length === 0) return { up: '', down: client.take() };
  for (const piece of answer) w.upstream().feed(piece);
  return { up: w.upstream().take(), down: client.take() };
}

/** Chunks may fall differently into messages: data alone counts. */
function unchunked(text: string): string {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  if (!head.includes('transfer-encoding: chunked')) return text;
  let body = rest.join('\r\n\r\n');
  let data = '';
  for (;;) {
    const end = body.indexOf('\r\n');
    const size = Number.parseInt(body.slice(0, end), 16);
    if (!(size > 0)) return `${head}\r\n\r\n${data}|${body}`;
    data += body.slice(end + 2, end + 2 + size);
    body = body.slice(end + 4 + size);
  }
}

const plainAnswer = ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'];
const chunkedAnswer =
  'HTTP/1.1 200 OK\r\nX-A:b\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n1\r\n!\r\n0\r\nX-T: t\r\n\r\n';
const requests = [
  ...acceptedRequests.filter((c) => !c.text.includes('Chunked') && c.text.length < 1000),
  { name: 'a body with a length', text: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world' },
  {
    name: 'a chunked body with trailers',
    text: 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nx-t: t\r\n\r\n',
  },
  { name: 'line ends before the request', text: '\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n' },
];

for (const c of requests) {
  test(`every split gives the same: ${c.name}`, (t) => {
    const whole = run([c.text], plainAnswer);
    t.true(whole.down.startsWith('HTTP/1.1 '));
    const same = (pieces: readonly string[], label: string): void => {
      const got = run(pieces, plainAnswer);
      t.is(unchunked(got.up), unchunked(whole.up), label);
      t.is(got.down, whole.down, label);
    };
    for (let i = 1; i < c.text.length; i++) same([c.text.slice(0, i), c.text.slice(i)], `split at ${i}`);
    same([...c.text], 'byte by byte');
  });
}

for (const text of [
  plainAnswer[0] ?? '',
  chunkedAnswer,
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: y\r\n\r\n',
]) {
  test(`every split of an answer gives the same: ${JSON.stringify(text)}`, (t) => {
    const request = ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'];
    const whole = run(request, [text]);
    const same = (pieces: readonly string[], label: string): void => {
      t.is(unchunked(run(request, pieces).down), unchunked(whole.down), label);
    };
    for (let i = 1; i < text.length; i++) same([text.slice(0, i), text.slice(i)], `split at ${i}`);
    same([...text], 'byte by byte');
  });
}
