import test from 'ava';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint } from './testing/specs.ts';

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const answer = (keepAlive: string): string =>
  `HTTP/1.1 200 OK\r\nKeep-Alive: ${keepAlive}\r\nContent-Length: 2\r\n\r\nhi`;

const cases: readonly (readonly [keepAlive: string, idleMs: number, reused: boolean])[] = [
  ['timeout=0', 0, false],
  ['timeout=5', 3900, true],
  ['timeout=5', 4000, false],
  ['timeout=1, max=100', 499, true],
  ['max=100, timeout=1', 500, false],
  ['Timeout = "2"', 1000, false],
  ['max=100', 10_000, true],
  ['timeout=soon', 10_000, true],
];

for (const [keepAlive, idleMs, reused] of cases) {
  test(`Keep-Alive: ${keepAlive} after ${idleMs} ms: ${reused ? 'used again' : 'a new connection'}`, (t) => {
    const w = new FakeWorker({ endpoints: [endpoint(8081)] });
    const client = w.client();
    client.feed(get);
    w.upstream(0).feed(answer(keepAlive));
    t.notRegex(client.take(), /keep-alive/i, 'it is the connection’s, not the client’s');
    w.advance(idleMs);
    client.feed(get);
    t.is(w.dialled.length, reused ? 1 : 2);
    t.is(w.upstream(0).closed, reused ? 'no' : 'close');
  });
}
