/** An upstream of HTTP/1.1: answers the request that came last, in pieces, and checks what it got of bodies. */
import { Head } from '../../../http1/head.ts';
import { method as knownMethod } from '../../../http1/known-headers.ts';
import { parseRequestHead } from '../../../http1/parse-head.ts';
import { BodyReader } from '../../body-reader.ts';
import type { FakeStream } from '../fake-stream.ts';
import type { Ledgers } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { insist, insistOnMark, type LifeUpstream, pick, type Shape } from './peers.ts';
import type { Kind } from './setup.ts';

const limits = { maxBytes: 100_000, maxHeaders: 100 };
const nonsense = ['HTTX\r\n\r\n', 'HTTP/1.1 2', 'zz\r\n', '\0', 'HTTP/1.1 101 X\r\n\r\n', 'HTTP/1.1 200 OK\r\n'];

interface Asked {
  readonly mark: string;
  readonly method: string;
  readonly upgrades: boolean;
  /** Bytes of its body so far. */
  got: number;
}

export class Http1LifeUpstream implements LifeUpstream {
  readonly outbox: Outbox;
  readonly #ledgers: Ledgers;
  #seen = Buffer.alloc(0);
  #asked: Asked | null = null;
  readonly #body = new BodyReader();
  #state: 'waiting' | 'answering' | 'over' = 'over';
  #rest: number | 'chunked' | 'raw' = 0;
  /** It has sent what no upstream should: neither side knows any more where messages begin. */
  #isBroken = false;
  /** Of which some was in place of an answer. */
  #isAwaited = false;
  /** That was behind an answer and has arrived: this connection is good for nothing any more. */
  #isSpent = false;

  constructor(stream: FakeStream, ledgers: Ledgers) {
    this.outbox = new Outbox(stream);
    this.#ledgers = ledgers;
  }

  greet(): void {}

  inform(): void {
    if (this.#state === 'waiting') this.outbox.post('HTTP/1.1 103 Early\r\nx-hint: a\r\n\r\n');
  }

  answer(_which: number, status: number, shape: Shape, location: Kind): void {
    const asked = this.#asked;
    if (asked === null || this.#state !== 'waiting') return;
    const { mark, method, upgrades } = asked;
    const fields = status === 302 ? `location: http://a/${location}/${mark}\r\n` : '';
    if (status === 200 && (upgrades || method === 'CONNECT')) {
      this.outbox.post(method === 'CONNECT' ? `HTTP/1.1 200 OK\r\nx-mark: ${mark}\r\n\r\n` : switching(mark));
      this.#rest = 'raw';
    } else {
      // Without a tunnel another request may follow.
      if (this.#body.framing === 'close') this.#body.begin('none', 0);
      const none = status === 204 || status === 304 || method === 'HEAD' || shape === 'empty';
      const framing = status === 204 ? '' : framingOf[shape];
      this.outbox.post(`HTTP/1.1 ${status} X\r\nx-mark: ${mark}\r\n${fields}${framing}\r\n`);
      this.#rest = none ? 0 : shape === 'length' ? 6 : shape === 'open' ? 'chunked' : 'raw';
    }
    this.#ledgers.answers.begin(mark, this.#rest === 'raw');
    this.#count(0);
  }

  /** So much of the answer was sent, and maybe its end. */
  #count(bytes: number): void {
    this.#state = this.#rest === 0 ? 'over' : 'answering';
    this.#ledgers.answers.sent(this.#asked?.mark ?? '', bytes, this.#rest === 0);
  }

  body(_which: number, bytes: number, last: boolean): void {
    const rest = this.#rest;
    const mark = this.#asked?.mark ?? '~';
    if (this.#state !== 'answering') return;
    const n = typeof rest === 'number' ? (last ? rest : Math.min(rest, bytes)) : bytes;
    if (typeof rest === 'number') this.#rest = rest - n;
    if (rest !== 'chunked') this.outbox.post(mark.repeat(n));
    else if (n > 0) this.outbox.post(`${n.toString(16)}\r\n${mark.repeat(n)}\r\n`);
    this.#count(n);
    if (rest === 'chunked' && last) this.#endChunks('');
    if (rest === 'raw' && last) this.goAway();
  }

  trailers(): void {
    if (this.#state === 'answering' && this.#rest === 'chunked') this.#endChunks('x-sum: 1\r\n');
  }

  #endChunks(fields: string): void {
    this.outbox.post(`0\r\n${fields}\r\n`);
    this.#rest = 0;
    this.#count(0);
  }

  goAway(): void {
    this.outbox.flush();
    this.outbox.stream.end();
  }

  reset(): void {
    this.outbox.stream.fail('remote-reset');
  }

  nonsense(which: number): void {
    // In such a body anything goes.
    if (this.#state === 'answering' && this.#rest !== 'chunked') return;
    this.#isBroken = true;
    this.#isAwaited ||= this.#state !== 'over';
    if (this.#isAwaited) this.#ledgers.answers.spoil(this.#asked?.mark ?? '');
    this.#state = 'over';
    this.outbox.post(pick(nonsense, which));
  }

  get hasNonsense(): boolean {
    return this.#isBroken;
  }

  widen(): void {}

  widenAll(): void {}

  find(mark: string): number {
    return this.#state === 'waiting' && this.#asked?.mark === mark ? 0 : -1;
  }

  observe(): void {
    this.#read();
    this.#isSpent = this.#isBroken && !this.#isAwaited && this.outbox.isEmpty && !this.outbox.stream.slow;
  }

  #read(): void {
    const { stream } = this.outbox;
    if (stream.output === '') return;
    this.#seen = Buffer.concat([this.#seen, Buffer.from(stream.take(), 'latin1')]);
    if (this.#isBroken) {
      if (this.#seen.includes(' HTTP/1.1\r\n')) this.#isAwaited = true;
      insist(!this.#isSpent || !this.#isAwaited, 'a request behind what nobody asked for');
      return;
    }
    while (this.#seen.length > 0 && this.#take()) {}
  }

  /** False when the rest has to wait for more. */
  #take(): boolean {
    if (this.#asked === null || this.#body.done) return this.#takeHead();
    const reader = this.#body;
    const next = reader.take(this.#seen, 0, this.#seen.length, limits);
    insist(next >= 0, `an upstream got a broken body: ${this.#seen.toString('latin1')}`);
    insistOnMark(this.#seen.toString('latin1', reader.start, reader.end), this.#asked.mark, 'a request of HTTP/1.1');
    this.#asked.got += reader.end - reader.start;
    this.#checkEnd(this.#asked);
    this.#seen = this.#seen.subarray(next);
    return next > 0;
  }

  #checkEnd({ mark, got }: Asked): void {
    if (this.#body.done) this.#ledgers.requests.check(mark, got, 'an upstream of HTTP/1.1');
  }

  #takeHead(): boolean {
    const seen = this.#seen;
    const head = new Head();
    const length = parseRequestHead(seen, 0, seen.length, head, limits);
    insist(length > 0, `an upstream got half a head: ${seen.toString('latin1')}`);
    insist(this.#state === 'over', `a request before the answer to ${this.#asked?.mark} was over`);
    head.take(seen, 0);
    const method = head.methodName();
    const upgrades = head.get('upgrade') !== null;
    this.#asked = { mark: head.get('x-mark') ?? '?', method, upgrades, got: 0 };
    this.#state = 'waiting';
    const tunnel = upgrades || head.method === knownMethod.CONNECT;
    const framing = head.chunked ? 'chunked' : head.contentLength >= 0 ? 'length' : 'none';
    this.#body.begin(tunnel ? 'close' : framing, head.contentLength);
    this.#checkEnd(this.#asked);
    this.#seen = seen.subarray(length);
    return true;
  }
}

const switching = (mark: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-mark: ${mark}\r\n\r\n`;
const framingOf: Readonly<Record<Shape, string>> = {
  none: '',
  head: 'connection: close\r\n',
  length: 'content-length: 6\r\n',
  empty: 'content-length: 0\r\n',
  open: 'transfer-encoding: chunked\r\n',
};
