/** A client of HTTP/1.1 that pipelines, and reads its answers with the agent's own parser. */
import { Head } from '../../../http1/head.ts';
import { parseResponseHead } from '../../../http1/parse-head.ts';
import { BodyReader } from '../../body-reader.ts';
import type { FakeStream } from '../fake-stream.ts';
import type { Ledgers } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { hostOf, insist, insistOnMark, type LifeClient, methodOf, pick, type Shape } from './peers.ts';
import type { Kind } from './setup.ts';

const limits = { maxBytes: 100_000, maxHeaders: 100 };
const nonsense = ['GARBAGE\r\n\r\n', 'GET /plain', '\r\n', 'zz\r\n', 'GET /plain/0 HTTP/1.0\r\n\r\n', '\0'];

interface Asked {
  readonly mark: string;
  readonly method: string;
}

/** The body of the request that is under way: bytes that are missing, or how it is framed. */
type Rest = number | 'chunked' | 'raw';

export class Http1LifeClient implements LifeClient {
  readonly outbox: Outbox;
  readonly #ledgers: Ledgers;
  readonly #asked: Asked[] = [];
  #rest: Rest = 0;
  /** It has sent what no client should: what that is answered with does not matter. */
  #excused = false;
  readonly #all: string[] = [];

  constructor(stream: FakeStream, ledgers: Ledgers) {
    this.outbox = new Outbox(stream);
    this.#ledgers = ledgers;
  }

  ask(mark: string, kind: Kind, shape: Shape): boolean {
    if (this.#rest !== 0) return false;
    const tunnel = kind === 'connect' || kind === 'ws';
    const method = kind === 'connect' ? 'CONNECT' : tunnel ? 'GET' : methodOf[shape];
    const target = kind === 'connect' ? 'a:443' : `/${kind}/${mark}${kind === 'bad' ? '#x' : ''}`;
    const fields = kind === 'ws' ? upgrade : tunnel ? '' : framing[shape];
    this.outbox.post(`${method} ${target} HTTP/1.1\r\nhost: ${hostOf(mark, kind)}\r\nx-mark: ${mark}\r\n${fields}\r\n`);
    this.#asked.push({ mark, method });
    this.#ledgers.requests.begin(mark, tunnel);
    this.#rest = tunnel ? 'raw' : shape === 'length' ? 6 : shape === 'open' ? 'chunked' : 0;
    this.#count(0);
    return true;
  }

  #count(bytes: number): void {
    this.#ledgers.requests.sent(this.#mark, bytes, this.#rest === 0);
  }

  get #mark(): string {
    return this.#asked.at(-1)?.mark ?? '~';
  }

  body(_which: number, bytes: number, last: boolean): void {
    const rest = this.#rest;
    if (rest === 0) return;
    const n = typeof rest === 'number' ? (last ? rest : Math.min(rest, bytes)) : bytes;
    if (typeof rest === 'number') this.#rest = rest - n;
    const piece = this.#mark.repeat(n);
    if (rest !== 'chunked') this.outbox.post(piece);
    else if (n > 0) this.outbox.post(`${n.toString(16)}\r\n${piece}\r\n`);
    if (rest !== 'raw') this.#count(n);
    if (rest === 'chunked' && last) this.#endChunks('');
  }

  trailers(): void {
    if (this.#rest === 'chunked') this.#endChunks('x-sum: 1\r\n');
  }

  #endChunks(fields: string): void {
    this.outbox.post(`0\r\n${fields}\r\n`);
    this.#rest = 0;
    this.#count(0);
  }

  reset(): void {
    this.outbox.stream.fail('remote-reset');
  }

  nonsense(which: number): void {
    // In such a body anything goes.
    if (this.#rest !== 0 && this.#rest !== 'chunked') return;
    this.#excused = true;
    if (this.#rest !== 0) this.#ledgers.requests.spoil(this.#mark);
    this.#rest = 'raw';
    this.outbox.post(pick(nonsense, which));
  }

  endTunnel(): void {
    if (this.#rest === 'raw') this.outbox.stream.end();
  }

  get hasNonsense(): boolean {
    return this.#excused;
  }

  widen(): void {}

  widenAll(): void {}

  observe(): void {
    const { stream } = this.outbox;
    if (stream.output === '') return;
    this.#all.push(stream.take());
    this.#read(Buffer.from(this.#all.join(''), 'latin1'));
  }

  /** Everything from the beginning: these connections are short. */
  #read(bytes: Buffer): void {
    let p = 0;
    for (let answered = 0; p < bytes.length; ) {
      const head = new Head();
      const length = parseResponseHead(bytes, p, bytes.length, head, limits);
      insist(length >= 0, `a client got no answer at ${p} of ${bytes.toString('latin1')}`);
      if (length === 0) return;
      insist(head.status !== 204 || (!head.chunked && head.contentLength < 0), 'a 204 that says how it is framed');
      head.take(bytes, p);
      p += length;
      const asked = this.#asked[answered];
      if (asked === undefined && this.#excused) return;
      insist(asked !== undefined, `an answer nobody asked for: ${bytes.toString('latin1')}`);
      if (head.status < 200 && head.status !== 101) continue;
      answered++;
      const isTunnel = head.status === 101 || (asked.method === 'CONNECT' && head.status < 300);
      p = this.#readBody(bytes, p, head, isTunnel, asked);
    }
  }

  #readBody(bytes: Buffer, from: number, head: Head, isTunnel: boolean, asked: Asked): number {
    const mark = head.get('x-mark');
    if (mark !== null) insist(mark === asked.mark, `${asked.mark} got the answer of ${mark}`);
    const reader = new BodyReader();
    const none = asked.method === 'HEAD' || head.status === 204 || head.status === 304;
    const kept = head.chunked ? 'chunked' : head.contentLength >= 0 ? 'length' : 'close';
    reader.begin(isTunnel ? 'close' : none ? 'none' : kept, head.contentLength);
    let p = from;
    let body = '';
    while (p < bytes.length && !reader.done) {
      const next = reader.take(bytes, p, bytes.length, limits);
      insist(next >= 0, `a broken body: ${bytes.toString('latin1')}`);
      body += bytes.toString('latin1', reader.start, reader.end);
      if (next === p) return bytes.length;
      p = next;
    }
    if (mark === null) return p;
    insistOnMark(body, mark, 'an answer of HTTP/1.1');
    if (reader.done) this.#ledgers.answers.check(mark, body.length, 'a client of HTTP/1.1');
    return p;
  }
}

const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n';
const framing: Readonly<Record<Shape, string>> = {
  none: '',
  head: '',
  length: 'content-length: 6\r\n',
  empty: 'content-length: 0\r\n',
  open: 'transfer-encoding: chunked\r\n',
};
