/** HPACK against nghttp2 (node:http2): what ours encodes it reads, what it encodes ours reads, and both refuse alike. */
import http2 from 'node:http2';
import net from 'node:net';
import test from 'ava';
import { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { seededRandom } from '../worker/random.ts';
import { Http2Connection } from './connection.ts';
import { privateCounters } from './counters.ts';
import { clientPreface } from './frame.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { defaultHttp2Options } from './options.ts';
import { decodeBlock, fieldsOf, literals, requestLine } from './testing/hpack.ts';
import { NodeStream, nodeHost } from './testing/node-stream.ts';
import { frame, settings } from './testing/raw.ts';

type Random = () => number;
type Fields = [string, string][];
const below = (random: Random, n: number): number => Math.floor(random() * n);

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_.~!#$&'*+|^`%";
const valueBytes = Array.from({ length: 256 }, (_, c) => c).filter((c) => c === 9 || (c >= 32 && c !== 127));

function randomName(random: Random): string {
  const common = ['accept', 'user-agent', 'x-request-id', 'content-type', 'x-b3-traceid', 'authorization', 'etag', 'x'];
  if (random() < 0.7) return common[below(random, common.length)] ?? 'x';
  return `x${Array.from({ length: 1 + below(random, 20) }, () => alphabet[below(random, alphabet.length)]).join('')}`;
}

function randomValue(random: Random): string {
  if (random() < 0.4) return ['a', '*/*', 'gzip, deflate', '', 'v'.repeat(90)][below(random, 5)] ?? '';
  const length = below(random, random() < 0.05 ? 3000 : 40);
  const bytes = Array.from({ length }, () => valueBytes[below(random, random() < 0.9 ? 90 : valueBytes.length)] ?? 32);
  return Buffer.from(bytes).toString('latin1').trim();
}

/** Names that nghttp2's API takes once only are not repeated. */
function randomFields(random: Random): Fields {
  const fields = new Map<string, string>();
  for (let n = below(random, 12); n > 0; n--) fields.set(randomName(random), randomValue(random));
  return [...fields];
}

function flat(raw: readonly string[]): string[] {
  const found: string[] = [];
  for (let i = 0; i < raw.length; i += 2) if (raw[i]?.startsWith(':') === false) found.push(`${raw[i]}: ${raw[i + 1]}`);
  return found.sort();
}

test('nghttp2 reads what we encode, for every size of its table', async (t) => {
  for (const headerTableSize of [0, 60, 300, 4096, 65_536]) {
    const random = seededRandom(headerTableSize + 1);
    const got: string[][] = [];
    const server = http2.createServer({ settings: { headerTableSize } });
    server.on('stream', (stream: http2.ServerHttp2Stream, _headers, _flags, raw: string[]) => {
      got.push(flat(raw));
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const host = nodeHost();
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    const sent: string[][] = [];
    await new Promise<void>((resolve, reject) => {
      const connection: Http2Connection = new Http2Connection(
        host,
        new NodeStream(host, socket, { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} }),
        'client',
        { ...defaultHttp2Options, hpackTableSize: 65_536 },
        privateCounters(),
        {
          onConnected() {},
          onStream() {},
          onCapacity() {},
          onGoaway() {},
          onClosed: (_connection, _reason, code, detail) => (code === 0 ? resolve() : reject(new Error(detail))),
        },
      );
      connection.start();
      const next = (): void => {
        if (sent.length === 150) {
          connection.drain();
          return;
        }
        const head = new Head();
        head.method = method.GET;
        head.setTarget(`/${below(random, 4)}`);
        head.add('host', 'a');
        const fields = randomFields(random);
        for (const [name, value] of fields) head.add(name, value);
        sent.push(fields.map(([n, v]) => `${n}: ${v}`).sort());
        connection.open(head, true, {
          onHead: (_stream, _head, last) => last && setImmediate(next),
          onData() {},
          onTrailers() {},
          onReset: (_stream, code) => reject(new Error(`reset ${code}`)),
          onDrained() {},
        });
      };
      next();
    });
    t.deepEqual(got, sent, `table of ${headerTableSize}`);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

test('we read what nghttp2 encodes', async (t) => {
  const random = seededRandom(5);
  const sent: string[][] = [];
  const blocks: Buffer[] = [];
  const collected = new Promise<void>((resolve) => {
    const server = net.createServer((socket) => {
      let bytes = Buffer.alloc(0);
      let at = clientPreface.length;
      socket.write(Buffer.concat([settings([3, 1000]), frame(4, 1, 0)]));
      socket.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        while (bytes.length >= at + 9 && bytes.length >= at + 9 + bytes.readUIntBE(at, 3)) {
          const length = bytes.readUIntBE(at, 3);
          if (bytes[at + 3] === 1) {
            const padded = ((bytes[at + 4] ?? 0) & 8) !== 0;
            const priority = ((bytes[at + 4] ?? 0) & 32) !== 0;
            const from = at + 9 + (padded ? 1 : 0) + (priority ? 5 : 0);
            blocks.push(Buffer.from(bytes.subarray(from, at + 9 + length - (padded ? (bytes[at + 9] ?? 0) : 0))));
          }
          at += 9 + length;
        }
        if (blocks.length < 300) return;
        socket.destroy();
        server.close();
        resolve();
      });
      socket.on('error', () => {});
    });
    server.listen(0, '127.0.0.1', () => {
      const session = http2.connect(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
      session.on('error', () => {});
      session.once('remoteSettings', () => {
        for (let i = 0; i < 300; i++) {
          const fields = randomFields(random);
          sent.push(fields.map(([n, v]) => `${n}: ${v}`).sort());
          session.request({ ':path': `/${i % 3}`, ...Object.fromEntries(fields) }).on('error', () => {});
        }
      });
    });
  });
  await collected;
  const decoder = new HpackDecoder();
  for (const [i, block] of blocks.entries()) {
    const { ok, verdict, head } = decodeBlock(decoder, block);
    t.deepEqual([ok, verdict], [true, 0], `block ${i}`);
    t.is(requestLine(head), `GET /${i % 3} http`);
    t.deepEqual(
      fieldsOf(head)
        .filter((f) => !f.startsWith('host'))
        .sort(),
      sent[i],
      `block ${i}`,
    );
  }
});

/** Damages a good block; what is wrong then is either its compression or its message. */
function damaged(random: Random): Buffer {
  const fields: Fields = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/'],
    ...randomFields(random).slice(0, 3),
  ];
  const indexed = fields.map((f) => {
    const block = Buffer.from(literals(f));
    block[0] = [0, 0x10, 0x40][below(random, 3)] ?? 0;
    return block;
  });
  const block = Buffer.concat([...indexed, Buffer.from([0x82, 0xbe, 0xbf, 0xc0].slice(0, below(random, 5)))]);
  for (let n = below(random, 3); n > 0; n--) block[below(random, block.length)] = below(random, 256);
  return random() < 0.2 ? block.subarray(0, below(random, block.length)) : block;
}

/** GOAWAY with COMPRESSION_ERROR, or not. */
function nghttp2Refuses(port: number, block: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const socket = net.connect(port, '127.0.0.1', () => {
      const ping = frame(6, 0, 0, Buffer.from('12345678'));
      socket.write(Buffer.concat([clientPreface, settings(), frame(1, 5, 1, block), ping]));
    });
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (let at = 0; bytes.length >= at + 9 && bytes.length >= at + 9 + bytes.readUIntBE(at, 3); ) {
        const type = bytes[at + 3];
        const code = type === 7 ? bytes.readUInt32BE(at + 13) : 0;
        const answered = type === 6 && bytes[at + 4] === 1;
        at += 9 + bytes.readUIntBE(at, 3);
        if (type !== 7 && !answered) continue;
        socket.destroy();
        resolve(code === 9);
        return;
      }
    });
    socket.on('close', () => resolve(false));
    socket.on('error', reject);
  });
}

test('damaged blocks: both refuse, or both go on', async (t) => {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  server.on('sessionError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const random = seededRandom(77);
  let refused = 0;
  for (let i = 0; i < 500; i++) {
    const block = damaged(random);
    const theirs = await nghttp2Refuses(port, block);
    const ours = !decodeBlock(new HpackDecoder(), block).ok;
    t.is(ours, theirs, `block ${i}: ${block.toString('hex')}`);
    if (ours) refused++;
  }
  t.true(refused > 50 && refused < 450, String(refused));
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
