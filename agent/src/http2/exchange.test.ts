/** Two of our connections exchange random messages over random splits, windows, tables and socket buffers. */
import test from 'ava';
import { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { seededRandom } from '../worker/random.ts';
import { Http2Connection, type Http2ConnectionEvents } from './connection.ts';
import { privateCounters } from './counters.ts';
import { defaultHttp2Options, type Http2Options } from './options.ts';
import type { Http2Stream, Http2StreamEvents } from './stream.ts';
import { fieldsOf } from './testing/hpack.ts';
import { type Side, wire } from './testing/wire.ts';

type Random = () => number;
const below = (random: Random, n: number): number => Math.floor(random() * n);

interface Message {
  readonly fields: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[] | null;
}

function randomFields(random: Random, prefix: string): [string, string][] {
  return Array.from({ length: below(random, 6) }, (_, i): [string, string] => {
    const repeated = random() < 0.6;
    return [
      `${prefix}-${i}`,
      repeated ? `same ${i}` : `v${random()}`.repeat(1 + below(random, random() < 0.05 ? 400 : 3)),
    ];
  });
}

function randomMessage(random: Random, prefix: string, maxBody: number): Message {
  const size = random() < 0.3 ? 0 : below(random, random() < 0.1 ? maxBody * 20 : maxBody);
  const body = Buffer.alloc(size);
  for (let i = 0; i < size; i++) body[i] = below(random, 256);
  return {
    fields: randomFields(random, prefix),
    body,
    trailers: random() < 0.4 ? [...randomFields(random, `${prefix}-t`), ['end', 'yes']] : null,
  };
}

function headOf(fields: Message['fields'], first: (head: Head) => void): Head {
  const head = new Head();
  first(head);
  for (const [name, value] of fields) head.add(name, value);
  return head;
}

/** What one side received of a message, and whether it was whole. */
class Received {
  fields: string[] = [];
  readonly chunks: Buffer[] = [];
  trailers: string[] | null = null;
  ended = false;

  matches(sent: Message): boolean {
    const text = (fields: Message['fields']): string => fields.map(([n, v]) => `${n}: ${v}`).join('\n');
    const own = this.fields.filter((f) => !f.startsWith('host:')).join('\n');
    return (
      this.ended &&
      own === text(sent.fields) &&
      Buffer.concat(this.chunks).equals(sent.body) &&
      (this.trailers === null ? sent.trailers === null : this.trailers.join('\n') === text(sent.trailers ?? []))
    );
  }
}

/** Sends a message's body by random pieces, as far as it is taken, and its end. */
class Sending {
  readonly #message: Message;
  readonly #random: Random;
  #at = 0;
  #done = false;

  constructor(message: Message, random: Random) {
    this.#message = message;
    this.#random = random;
  }

  go(stream: Http2Stream): void {
    const { body, trailers } = this.#message;
    while (!this.#done && stream.queued === 0) {
      const end = Math.min(body.length, this.#at + 1 + below(this.#random, 5000));
      const last = end === body.length;
      stream.sendData(body, this.#at, end, last && trailers === null);
      this.#at = end;
      if (!last) continue;
      this.#done = true;
      if (trailers !== null) stream.sendTrailers(headOf(trailers, () => {}));
    }
  }
}

/** Reads one message and sends another; now and then it does not want to read. */
class Party implements Http2StreamEvents {
  readonly received = new Received();
  readonly reply: Message;
  problem = '';
  paused: Http2Stream | null = null;
  refused: () => void = () => {
    this.problem = 'refused';
  };
  readonly sending: Sending;
  readonly #side: Side;
  readonly #random: Random;

  constructor(side: Side, reply: Message, random: Random) {
    this.#side = side;
    this.#random = random;
    this.reply = reply;
    this.sending = new Sending(reply, random);
  }

  onHead(_stream: Http2Stream, head: Head, last: boolean): void {
    this.received.fields = fieldsOf(head);
    this.received.ended = last;
  }

  onData(stream: Http2Stream, start: number, end: number, last: boolean): void {
    const bytes = this.#side.host.readBuffer.subarray(start, end);
    this.received.chunks.push(Buffer.from(bytes));
    // The codec lets its user scribble there.
    this.#side.host.readBuffer.fill(0x5a, start - 9, end);
    this.received.ended = last;
    if (!last && this.#random() < 0.2) {
      stream.pauseRead();
      this.paused = stream;
    }
  }

  onTrailers(_stream: Http2Stream, head: Head): void {
    this.received.trailers = fieldsOf(head);
    this.received.ended = true;
  }

  onReset(_stream: Http2Stream, code: number, cause: string): void {
    this.paused = null;
    if (cause === 'refused') this.refused();
    else this.problem = `reset ${code} ${cause}`;
  }

  onDrained(stream: Http2Stream): void {
    this.sending.go(stream);
  }
}

interface Pairing {
  readonly client: Party;
  readonly request: Message;
}

function run(seed: number): { readonly problem: string; readonly exchanged: number } {
  const random = seededRandom(seed);
  const sides = wire(random);
  const [near, far] = sides;
  const choose = <T>(values: readonly T[]): T => values[below(random, values.length)] as T;
  const options = (): Http2Options => ({
    ...defaultHttp2Options,
    hpackTableSize: choose([0, 100, 4096, 4096, 20_000]),
    initialStreamWindowSize: choose([9, 100, 5000, 65_535, 262_144]),
    initialConnectionWindowSize: choose([65_535, 1_000_000]),
    maxConcurrentStreams: choose([1, 3, 100]),
    // Tiny windows need many updates for each frame.
    maxInboundWindowUpdateFramesPerDataFrameSent: 1000,
    maxOutboundControlFrames: 100_000,
    maxOutboundFrames: 100_000,
    overrideStreamErrorOnInvalidHttpMessage: true,
  });
  for (const side of sides) side.socketBytes = choose([50, 1000, 70_000, Number.POSITIVE_INFINITY]);
  const pairings = new Map<string, Pairing>();
  const replies = new Map<string, Party>();
  const maxBody = choose([10, 300, 3000]);
  let problem = '';
  const counters = [privateCounters(), privateCounters()] as const;
  const events = (over: Partial<Http2ConnectionEvents>): Http2ConnectionEvents => ({
    onConnected() {},
    onStream() {},
    onCapacity() {},
    onGoaway() {},
    onClosed(_connection, reason, code, detail) {
      if (code !== 0 || reason !== 'local') problem ||= `closed: ${reason} ${code} ${detail}`;
    },
    ...over,
  });
  const server = new Http2Connection(
    far.host,
    far,
    'server',
    options(),
    counters[1],
    events({
      onStream(stream, head, last) {
        const key = head.text(head.targetStart, head.targetEnd);
        const party = new Party(far, randomMessage(random, 'r', maxBody), random);
        party.onHead(stream, head, last);
        stream.events = party;
        replies.set(key, party);
        const { reply } = party;
        if (random() < 0.2)
          stream.sendHead(
            headOf([], (h) => void (h.status = 103)),
            false,
          );
        const head200 = headOf(reply.fields, (h) => void (h.status = choose([200, 404, 299])));
        const only = reply.body.length === 0 && reply.trailers === null;
        stream.sendHead(head200, only);
        if (!only) party.sending.go(stream);
      },
    }),
  );
  const total = 40;
  const waiting = Array.from({ length: total }, () => randomMessage(random, 'q', maxBody));
  let opened = 0;
  const open = (): void => {
    for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) {
      const message = request;
      const key = `/${choose(['same', 'other'])}?${opened}`;
      const head = headOf(message.fields, (h) => {
        h.method = choose([method.GET, method.POST, method.DELETE]);
        h.setTarget(key);
        h.add('host', choose(['a', 'b.c:80']));
      });
      const client = new Party(near, message, random);
      const only = message.body.length === 0 && message.trailers === null;
      const stream = connection.open(head, only, client);
      if (stream === null) {
        waiting.unshift(message);
        return;
      }
      // More than the server takes may be opened before its SETTINGS arrive.
      client.refused = () => {
        pairings.delete(key);
        waiting.push(message);
        open();
      };
      opened++;
      pairings.set(key, { client, request: message });
      if (!only) client.sending.go(stream);
    }
  };
  const connection: Http2Connection = new Http2Connection(
    near.host,
    near,
    'client',
    options(),
    counters[0],
    events({ onCapacity: open }),
  );
  connection.start();
  server.start();
  open();
  near.turn();
  far.turn();
  const wake = (): boolean => {
    let any = false;
    for (const party of [...replies.values(), ...[...pairings.values()].map((p) => p.client)]) {
      const { paused } = party;
      if (paused === null || random() < 0.3) continue;
      party.paused = null;
      any = true;
      paused.resumeRead();
    }
    near.turn();
    far.turn();
    return any;
  };
  for (let step = 0; step < 1_000_000; step++) {
    const moved = [
      near.deliver(1 + below(random, choose([1, 10, 100, 70_000]))),
      far.deliver(1 + below(random, choose([1, 10, 100, 70_000]))),
    ];
    if (step % 7 === 0 || !moved.includes(true)) {
      const woken = wake();
      const idle = !moved.includes(true) && !woken && near.inFlight + far.inFlight === 0;
      const asleep = [...replies.values(), ...[...pairings.values()].map((p) => p.client)].some(
        (p) => p.paused !== null,
      );
      if (idle && !asleep) break;
    }
    if (problem !== '') break;
  }
  if (problem === '' && pairings.size !== total) problem = `${waiting.length} were not opened`;
  for (const [key, { client, request }] of pairings) {
    const reply = replies.get(key);
    if (problem !== '') break;
    if (reply === undefined) problem = `${key}: never arrived`;
    else if (client.problem !== '' || reply.problem !== '') problem = `${key}: ${client.problem} ${reply.problem}`;
    else if (!reply.received.matches(request)) problem = `${key}: the request differs`;
    else if (!client.received.matches(reply.reply)) problem = `${key}: the answer differs`;
  }
  for (const { slots, at } of counters) {
    if (slots[at.streams_active] !== 0) problem ||= `${slots[at.streams_active]} streams stay open`;
    if (slots[at.pending_send_bytes] !== 0) problem ||= `${slots[at.pending_send_bytes]} bytes stay queued`;
  }
  return { problem, exchanged: pairings.size };
}

test('random messages over random splits and tiny windows arrive whole', (t) => {
  for (let seed = 1; seed <= 80; seed++) {
    const { problem, exchanged } = run(seed);
    t.is(problem, '', `seed ${seed}, ${exchanged} exchanged`);
  }
});
