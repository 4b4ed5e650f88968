/**
 * Large bodies of many streams in one read, on their way to everything that a body can go to at once: what arrives is
 * what was sent. Some of it goes out from where it lies in the read buffer, and some writers write in front of it.
 */
import test from 'ava';
import { seededRandom } from '../worker/random.ts';
import type { FakeStream } from './testing/fake-stream.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { data, headers, RawPeer, request, settings, windowUpdate } from './testing/raw-http2.ts';
import { endpoint, prefixRoute, routeAction, routeConfig } from './testing/specs.ts';

const mirror = { cluster: 'mirror', clusterHeader: '', fraction: null, hostSuffix: true };
const routes = routeConfig([
  prefixRoute('/h2', routeAction()),
  prefixRoute('/h1', routeAction({ clusters: [{ name: 'plain', weight: 1 }] })),
  prefixRoute('/both', routeAction({ mirrors: [mirror] })),
  prefixRoute('/none', { kind: 'direct_response', status: 200, body: 'done' }),
]);
const paths = ['/h2', '/h1', '/both', '/none'] as const;
const wide = [settings([[4, 5_000_000]]), windowUpdate(0, 50_000_000)];

interface Sent {
  /** 0 until it begins. */
  id: number;
  readonly path: string;
  body: string;
}

function worker(): FakeWorker {
  const w = new FakeWorker({ cluster: { protocol: 'http2' }, routes });
  w.addCluster('plain', endpoint(9001));
  w.addCluster('mirror', endpoint(9000));
  return w;
}

/** The body in chunks behind a head of HTTP/1.1. */
function unchunked(text: string): string {
  let at = text.indexOf('\r\n\r\n') + 4;
  let body = '';
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (!(size > 0)) return size === 0 ? body : `${body} and no chunk at ${at}`;
    body += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

const lastChunk = '\r\n0\r\n\r\n';

/** What the upstreams got, as `cluster path body`; keeps windows open, and answers on HTTP/1.1, so that connections are used again. */
class Upstreams {
  readonly #w: FakeWorker;
  readonly #peers = new Map<number, RawPeer>();
  readonly #bodies = new Map<string, string>();
  readonly #whole: string[] = [];

  constructor(w: FakeWorker) {
    this.#w = w;
  }

  read(): void {
    for (const [i, { stream, options }] of this.#w.dialled.entries()) {
      if (options.address.port < 9000) this.#readFrames(i, stream);
      else this.#readChunks(stream, options.address.port === 9000 ? 'mirror' : 'plain');
    }
  }

  #readFrames(i: number, stream: FakeStream): void {
    let peer = this.#peers.get(i);
    if (peer === undefined) {
      peer = new RawPeer(stream, true);
      this.#peers.set(i, peer);
      peer.send(...wide);
    }
    for (const f of peer.messages()) {
      const key = `${i}.${f.stream}`;
      if (f.type === 'headers') this.#bodies.set(key, `app ${f.fields[0]?.slice(5)} `);
      else this.#bodies.set(key, this.#bodies.get(key) + f.payload.toString('latin1'));
    }
  }

  #readChunks(stream: FakeStream, name: string): void {
    if (!stream.output.endsWith(lastChunk)) return;
    const text = stream.take();
    this.#whole.push(`${name} ${text.split(' ', 2)[1]} ${unchunked(text)}`);
    stream.feed('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  }

  all(): string[] {
    this.read();
    return [...this.#bodies.values(), ...this.#whole].sort();
  }
}

/** Frames of some requests with bodies of any sizes, mixed: a head may come between the bodies of others. */
function requests(random: () => number): { readonly sent: readonly Sent[]; readonly frames: readonly Buffer[] } {
  const below = (n: number): number => Math.floor(random() * n);
  const sent = Array.from({ length: 16 }, (_, i): Sent => {
    return { id: 0, path: `${paths[below(paths.length)]}/${i}`, body: '' };
  });
  const frames: Buffer[] = [];
  const open = [...sent];
  let begun = 0;
  while (open.length > 0) {
    const index = below(Math.min(3, open.length));
    const stream = open[index] as Sent;
    const length = [16_384, 16_384, 9000, 1 + below(16_384), 1 + below(300)][below(5)] as number;
    const piece = String.fromCharCode(97 + ((frames.length * 7) % 26)).repeat(length);
    const ends = stream.body.length + length > 150_000 || random() < 0.3;
    if (stream.id === 0) {
      stream.id = 2 * begun++ + 1;
      frames.push(headers(stream.id, request(stream.path, 'POST'), false));
      if (random() < 0.5) continue;
    }
    stream.body += piece;
    frames.push(data(stream.id, piece, ends));
    if (ends) open.splice(index, 1);
  }
  return { sent, frames };
}

test('each upstream gets each body whole, whatever lies beside it in a read', (t) => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const w = worker();
    const upstreams = new Upstreams(w);
    const client = new RawPeer(w.client(), false);
    client.hello();
    const { sent, frames } = requests(random);
    const bytes = Buffer.concat(frames);
    for (let at = 0; at < bytes.length; ) {
      const n = 1 + Math.floor(random() * ([100_000, 20_000, 3000][seed % 3] as number));
      client.send(bytes.subarray(at, at + n));
      upstreams.read();
      at += n;
    }
    const wanted = sent.flatMap(({ path, body }) => {
      if (path.startsWith('/none')) return [];
      if (path.startsWith('/h1')) return [`plain ${path} ${body}`];
      return path.startsWith('/both') ? [`app ${path} ${body}`, `mirror ${path} ${body}`] : [`app ${path} ${body}`];
    });
    const got = upstreams.all();
    t.deepEqual(
      got.map((g) => [g.slice(0, 14), g.length]),
      wanted.sort().map((g) => [g.slice(0, 14), g.length]),
      `seed ${seed}`,
    );
    t.true(
      got.every((g, i) => g === wanted[i]),
      `seed ${seed}: bytes of a body differ`,
    );
  }
});
