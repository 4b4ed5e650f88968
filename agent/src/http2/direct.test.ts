/** Received DATA that goes out from where it lies: what arrives is what was sent, whatever comes between. */
import test from 'ava';
import { Head } from '../http1/head.ts';
import { seededRandom } from '../worker/random.ts';
import { readUint31 } from './frame.ts';
import type { Http2Stream, Http2StreamEvents } from './stream.ts';
import { data, frame, Rig, request, server, settings, uint32, windowUpdate } from './testing/raw.ts';
import { Side } from './testing/wire.ts';

/** DATA and the other frames that a rig has sent: what arrived for each stream, and whether it ended. */
function received(
  sent: readonly Buffer[],
  skip: number,
): { readonly bodies: Map<number, string>; readonly sizes: number[] } {
  const bytes = Buffer.concat(sent).subarray(skip);
  const bodies = new Map<number, string>();
  const sizes: number[] = [];
  for (let p = 0; p < bytes.length; ) {
    const length = bytes.readUIntBE(p, 3);
    const id = readUint31(bytes, p + 5);
    if (bytes[p + 3] === 0) {
      const ends = bytes[p + 4] === 1 ? '.' : '';
      bodies.set(id, (bodies.get(id) ?? '') + bytes.toString('latin1', p + 9, p + 9 + length) + ends);
      sizes.push(length);
    } else if ((bytes[p + 3] ?? 0) > 9) throw new Error(`a frame of type ${bytes[p + 3]} at ${p}`);
    p += 9 + length;
  }
  return { bodies, sizes };
}

function echoing(options = {}): Rig {
  const rig = server({ maxConcurrentStreams: 100, ...options });
  rig.onRequest = (stream) => {
    stream.sink = 'frames';
    rig.answer(stream, false);
  };
  rig.onData = (stream, start, end, last) => stream.sendData(rig.side.host.readBuffer, start, end, last);
  return rig;
}

const filled = (n: number, letter: string): Buffer => Buffer.alloc(n, letter);

test('frames that lie together go out in one write, with what waited in front and the end in place', (t) => {
  const rig = echoing();
  rig.feed(windowUpdate(0, 1_000_000), settings([4, 1_000_000]), request(1));
  const before = rig.side.sent.length;
  rig.feed(data(1, 0, filled(16_384, 'a')), data(1, 0, filled(16_384, 'b')), data(1, 1, filled(9_000, 'c')));
  t.is(rig.side.sent.length, before + 1);
  const { bodies, sizes } = received(rig.side.sent.slice(before), 0);
  t.deepEqual(sizes, [16_384, 16_384, 9_000]);
  t.is(bodies.get(1), `${'a'.repeat(16_384)}${'b'.repeat(16_384)}${'c'.repeat(9_000)}.`);
});

test('frames of several streams that lie together go out in one write', (t) => {
  const rig = echoing();
  rig.feed(windowUpdate(0, 1_000_000), settings([4, 1_000_000]), request(1), request(3));
  const before = rig.side.sent.length;
  const large = (id: number, flags: number, letter: string) => data(id, flags, filled(16_384, letter));
  rig.feed(large(1, 0, 'a'), large(3, 0, 'b'), large(1, 1, 'c'), large(3, 1, 'd'));
  t.is(rig.side.sent.length, before + 1);
  const { bodies } = received(rig.side.sent.slice(before), 0);
  t.is(bodies.get(1), `${'a'.repeat(16_384)}${'c'.repeat(16_384)}.`);
  t.is(bodies.get(3), `${'b'.repeat(16_384)}${'d'.repeat(16_384)}.`);
});

test('whoever may write in front of its data does so when that of others has gone out', (t) => {
  for (const sink of ['unknown', 'bytes'] as const) {
    const rig = echoing();
    const { readBuffer } = rig.side.host;
    rig.feed(windowUpdate(0, 1_000_000), settings([4, 1_000_000]), request(1), request(3));
    const [, other] = rig.streams;
    if (other !== undefined) other.sink = sink;
    rig.onData = (stream, start, end, last) => {
      if (stream.id === 3) readBuffer.fill('x', start - 500, start);
      else stream.sendData(readBuffer, start, end, last);
    };
    const before = rig.side.sent.length;
    rig.feed(data(1, 0, filled(16_384, 'a')), data(3, 0, filled(16_384, 'b')), data(1, 1, filled(16_384, 'c')));
    const { bodies } = received(rig.side.sent.slice(before), 0);
    t.is(bodies.get(1), `${'a'.repeat(16_384)}${'c'.repeat(16_384)}.`, sink);
  }
});

test('two streams in turn, small pieces between large ones, padding, windows that end in the middle', (t) => {
  const rig = echoing();
  rig.feed(windowUpdate(0, 100_000), settings([4, 40_000]), request(1), request(3));
  const skip = Buffer.concat(rig.side.sent).length;
  const padded = Buffer.concat([Buffer.from([200]), filled(10_000, 'p'), Buffer.alloc(200)]);
  rig.feed(
    data(1, 0, filled(12_000, 'a')),
    data(3, 0, filled(12_000, 'b')),
    data(3, 0, 'small'),
    data(3, 0, filled(9_000, 'c')),
    frame(0, 8, 1, padded),
    data(1, 0, filled(16_384, 'd')),
  );
  rig.feed(data(1, 1, filled(16_384, 'e')), data(3, 1, filled(16_384, 'f')));
  rig.feed(windowUpdate(1, 100_000), windowUpdate(3, 100_000));
  const { bodies } = received(rig.side.sent, skip);
  t.is(bodies.get(1), `${'a'.repeat(12_000)}${'p'.repeat(10_000)}${'d'.repeat(16_384)}${'e'.repeat(16_384)}.`);
  t.is(bodies.get(3), `${'b'.repeat(12_000)}small${'c'.repeat(9_000)}${'f'.repeat(16_384)}.`);
});

/** From a server's stream to another connection on the same thread, and back from there. */
class Leg implements Http2StreamEvents {
  to: Http2Stream | null = null;
  readonly #buffer: Buffer;
  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }
  onHead(_stream: Http2Stream, head: Head, last: boolean): void {
    this.to?.sendHead(head, last);
  }
  onData(_stream: Http2Stream, start: number, end: number, last: boolean): void {
    this.to?.sendData(this.#buffer, start, end, last);
  }
  onTrailers(_stream: Http2Stream, head: Head): void {
    this.to?.sendTrailers(head);
  }
  onReset(): void {}
  onDrained(): void {}
}

test('relayed at random: pieces of any size, splits, slow sockets, several connections', (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const down = server({ maxConcurrentStreams: 100 });
    const ups = [0, 1].map(() =>
      new Rig('client', {}, down.side).begin(Buffer.concat([settings([4, 5_000_000]), windowUpdate(0, 50_000_000)])),
    );
    for (const up of ups) up.side.peer = new Side();
    for (const rig of [down, ...ups]) rig.side.socketBytes = [Number.POSITIVE_INFINITY, 30_000][below(2)] ?? 0;
    down.feed(settings([4, 5_000_000]), windowUpdate(0, 50_000_000));
    down.onRequest = (stream) => {
      const up = ups[below(2)] as Rig;
      const leg = new Leg(down.side.host.readBuffer);
      stream.events = leg;
      stream.sink = random() < 0.7 ? 'frames' : 'unknown';
      const head = new Head();
      head.method = 3;
      head.setTarget(`/${stream.id}`);
      head.add('host', 'a');
      leg.to = up.connection.open(head, false, up);
    };
    const skips = ups.map((up) => Buffer.concat(up.side.sent).length);
    const expected = new Map<string, string>();
    const frames: Buffer[] = [];
    for (let id = 1; id <= 7; id += 2) frames.push(request(id));
    const open = [1, 3, 5, 7];
    while (open.length > 0) {
      const index = random() < 0.5 ? 0 : below(open.length);
      const id = open[index] as number;
      const n = random() < 0.6 ? 16_384 : below(12_000);
      const ends = random() < 0.08 || expected.size === 0;
      const body = Buffer.alloc(n);
      for (let i = 0; i < n; i++) body[i] = 97 + ((i * 7 + frames.length) % 26);
      if (n > 0 || ends) frames.push(data(id, ends ? 1 : 0, body));
      expected.set(`/${id}`, (expected.get(`/${id}`) ?? '') + body.toString('latin1') + (ends ? '.' : ''));
      if (ends) open.splice(index, 1);
      if (random() < 0.1) frames.push(frame(6, 0, 0, uint32(1, 2)));
    }
    const bytes = Buffer.concat(frames);
    for (let at = 0; at < bytes.length; ) {
      const n = 1 + below([70_000, 20_000, 500][below(3)] ?? 1);
      down.feed(bytes.subarray(at, at + n));
      at += n;
      for (const up of ups) while (random() < 0.7 && up.side.deliver(20_000));
    }
    for (const up of ups) while (up.side.deliver(50_000));
    t.false(down.connection.closed, `seed ${seed}: ${down.log.at(-1)}`);
    const got: string[] = [];
    for (const [i, up] of ups.entries()) {
      for (const body of received(up.side.sent, skips[i] ?? 0).bodies.values()) got.push(body);
    }
    t.deepEqual(got.sort(), [...expected.values()].sort(), `seed ${seed}`);
    down.side.fail('remote-close');
    for (const up of ups) up.side.fail('remote-close');
  }
});

test('nothing is written from the read buffer outside of the data that is handed out', (t) => {
  const rig = echoing();
  rig.onData = () => {};
  rig.feed(windowUpdate(0, 1_000_000), settings([4, 1_000_000]), request(1), data(1, 0, filled(10_000, 'a')));
  const [stream] = rig.streams;
  const { readBuffer } = rig.side.host;
  readBuffer.fill('x', 1000, 20_000);
  stream?.sendData(readBuffer, 1009, 11_009, true);
  t.is(readBuffer.toString('latin1', 1000, 1009), 'xxxxxxxxx', 'its bytes in front belong to somebody');
  rig.side.turn();
  t.is(rig.frames().at(-1), 'data 1 10000 end');
});

test('the read buffer is free again when a read has been worked off, before the turn ends', (t) => {
  const rig = echoing();
  rig.feed(windowUpdate(0, 1_000_000), settings([4, 1_000_000]), request(1));
  const before = rig.side.sent.length;
  rig.side.turn = () => {};
  rig.feed(data(1, 0, filled(10_000, 'a')));
  t.is(received(rig.side.sent.slice(before), 0).bodies.get(1), 'a'.repeat(10_000));
  t.is(rig.side.host.direct, null);
});
