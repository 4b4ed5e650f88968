/** Damaged and crafted requests: whatever we pass on, Node's parser must read as exactly the requests that we authorised. */
import http from 'node:http';
import { Duplex } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import { FakeWorker } from './testing/fake-worker.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

/** Feeds the pieces; what went up, and the method and path of each request that was passed on. */
function pass(pieces: readonly string[]): { readonly up: string; readonly down: string; readonly sent: string[] } {
  const w = new FakeWorker({ manager: { normalizePath: true } });
  const sent: string[] = [];
  w.onLog = (r) => {
    if (r.status === 200) sent.push(`${r.request?.method} ${r.request?.path}`);
  };
  const client = w.client();
  for (const piece of pieces) {
    if (client.closed !== 'no') break;
    client.feed(piece);
    for (let i = 0; i < 4; i++) {
      const busy = w.dialled.find((d) => d.stream.closed === 'no' && complete(d.stream.output) > answered(d.stream));
      if (busy === undefined) break;
      busy.stream.feed(ok);
      answers.set(busy.stream, answered(busy.stream) + 1);
    }
  }
  return { up: w.dialled.map((d) => d.stream.output).join(''), down: client.output, sent };
}

const answers = new WeakMap<object, number>();
const answered = (stream: object): number => answers.get(stream) ?? 0;

/** How many requests of a correct serialisation are complete. */
function complete(text: string): number {
  let rest = text;
  for (let n = 0; ; n++) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return n;
    const head = rest.slice(0, headEnd);
    let at = headEnd + 4;
    if (head.includes('\r\ntransfer-encoding: chunked')) {
      const end = rest.slice(headEnd).search(/\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n/);
      if (end < 0) return n;
      at = headEnd + end + (rest.slice(headEnd + end).match(/^\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n/)?.[0].length ?? 0);
    } else at += Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
    if (at > rest.length) return n;
    rest = rest.slice(at);
  }
}

function readByNode(text: string): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const seen: string[] = [];
    const server = http.createServer((req, res) => {
      seen.push(`${req.method} ${req.url}`);
      req.resume();
      res.end();
    });
    server.on('clientError', (error: NodeJS.ErrnoException) => {
      seen.push(`refused ${error.code}`);
      resolve(seen);
    });
    const socket = new Duplex({ read() {}, write: (_c, _e, done) => done() });
    server.emit('connection', socket);
    socket.push(Buffer.from(text, 'latin1'));
    setImmediate(() => setImmediate(() => setImmediate(() => resolve(seen))));
  });
}

const crafted: readonly string[] = [
  'POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nGET GET /b HTTP/1.1\r\nhost: a\r\n\r\n',
  'POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n',
  'POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1a;x="\r\n\r\n"\r\nGET /inner HTTP/1.1\r\nx: \r\n0\r\n\r\n',
  'POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n',
  '\r\n\r\nGET /a HTTP/1.1\r\nhost: a\r\n\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n',
];

const damage = fc.record({
  base: fc.constantFrom(...crafted),
  edits: fc.array(
    fc.record({
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
      remove: fc.nat({ max: 2 }),
      insert: fc.constantFrom(
        '',
        ' ',
        '\t',
        '\r',
        '\n',
        '\r\n',
        '\0',
        ':',
        ',',
        ';',
        '0',
        'f',
        '\x0b',
        '\xff',
        'chunked',
        'content-length: 3\r\n',
        'transfer-encoding: chunked\r\n',
      ),
    }),
    { maxLength: 3 },
  ),
  cuts: fc.array(fc.nat({ max: 80 }), { maxLength: 4 }),
});

function damaged(base: string, edits: readonly { at: number; remove: number; insert: string }[]): string {
  let text = base;
  for (const e of edits) {
    const at = Math.floor(e.at * text.length);
    text = text.slice(0, at) + e.insert + text.slice(at + e.remove);
  }
  return text;
}

function cut(text: string, cuts: readonly number[]): string[] {
  const pieces: string[] = [];
  let rest = text;
  for (const c of cuts) {
    if (c > 0) pieces.push(rest.slice(0, c));
    rest = rest.slice(c);
  }
  return [...pieces, rest].filter((p) => p !== '');
}

test('what goes up is read by Node as the requests that we passed on, however the bytes came', async (t) => {
  let read = 0;
  await fc.assert(
    fc.asyncProperty(damage, async ({ base, edits, cuts }) => {
      // A head is judged again when a line has ended; the line ends behind it make sure that all of it is.
      const text = `${damaged(base, edits)}\r\n\r\n`;
      const whole = pass([text]);
      const split = pass(cut(text, cuts));
      t.deepEqual(split.sent, whole.sent);
      t.is(split.down, whole.down);
      const seen = await readByNode(whole.up);
      read += whole.sent.length;
      t.deepEqual(seen.slice(0, whole.sent.length), whole.sent);
      t.true(seen.length <= whole.sent.length + 1);
      t.false(
        seen.some((s) => s.startsWith('refused')),
        JSON.stringify(text),
      );
    }),
    { numRuns: 600 },
  );
  t.true(read > 100, `${read} requests were compared`);
});
