/** A client of HTTP/2: its streams side by side, each with what the agent may still send on it. */
import { clientPreface } from '../../../http2/frame.ts';
import type { FakeStream } from '../fake-stream.ts';
import { data, type Frame, frame, headers, RawPeer, request, reset, settings, windowUpdate } from '../raw-http2.ts';
import type { Ledgers } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { insist, insistOnMark, type LifeClient, methodOf, newest, pick, type Shape } from './peers.ts';
import type { Kind } from './setup.ts';

interface Asked {
  readonly id: number;
  readonly mark: string;
  /** The client has sent its end, or a reset. */
  sent: boolean;
  /** Bytes that are missing by its content-length. */
  left: number;
  state: 'waiting' | 'answered' | 'over';
  /** The answer is an upstream's, and has come so far. */
  marked: boolean;
  got: number;
}

export class Http2LifeClient implements LifeClient {
  readonly outbox: Outbox;
  readonly #ledgers: Ledgers;
  readonly #peer: RawPeer;
  readonly #asked = new Map<number, Asked>();
  /** How many of them have had their windows opened for good. */
  #widened = 0;
  #next = 1;
  /** It has sent what no client should, and maybe begun streams by that. */
  #excused = false;

  constructor(stream: FakeStream, window: number, ledgers: Ledgers) {
    this.#ledgers = ledgers;
    this.outbox = new Outbox(stream);
    this.#peer = new RawPeer(stream, false);
    this.outbox.post(clientPreface);
    this.outbox.post(settings([[4, window]]));
  }

  ask(mark: string, kind: Kind, shape: Shape): boolean {
    const id = this.#next;
    this.#next += 2;
    const sent = kind !== 'connect' && kind !== 'ws' && (shape === 'none' || shape === 'head');
    this.#asked.set(id, { id, mark, sent, left: leftOf[shape], state: 'waiting', marked: false, got: 0 });
    this.#ledgers.requests.begin(mark, kind === 'connect' || kind === 'ws');
    this.#ledgers.requests.sent(mark, 0, sent || leftOf[shape] === 0);
    this.outbox.post(headers(id, fieldsOf(mark, kind, shape), sent));
    return true;
  }

  #choose(which: number): Asked | undefined {
    const open = [...this.#asked.values()].filter((s) => !s.sent);
    return which === newest ? open.find((s) => s.id === this.#next - 2) : pick(open, which);
  }

  body(which: number, bytes: number, last: boolean): void {
    const s = this.#choose(which);
    if (s === undefined) return;
    const n = Math.min(bytes, s.left);
    s.sent = last;
    s.left -= n;
    // HTTP/1.1 takes it for whole by its length alone.
    this.#ledgers.requests.sent(s.mark, n, s.left === 0 || (last && s.left === any));
    this.outbox.post(data(s.id, s.mark.repeat(n), last));
  }

  trailers(which: number): void {
    const s = this.#choose(which);
    if (s === undefined) return;
    s.sent = true;
    this.#ledgers.requests.sent(s.mark, 0, s.left === any);
    this.outbox.post(headers(s.id, [['x-sum', '1']]));
  }

  reset(which: number, code: number): void {
    const open = [...this.#asked.values()].filter((a) => a.state !== 'over');
    const s = which === newest ? open.at(-1) : pick(open, which);
    if (s === undefined) return;
    s.sent = true;
    this.outbox.post(reset(s.id, code));
  }

  nonsense(which: number): void {
    this.#excused = true;
    const id = this.#next - 2;
    this.#ledgers.requests.spoil(this.#asked.get(id)?.mark ?? '');
    this.outbox.post(pick(nonsenseOn(Math.max(1, id)), which));
  }

  endTunnel(): void {}

  get hasNonsense(): boolean {
    return this.#excused;
  }

  widen(which: number, bytes: number): void {
    const s = pick([...this.#asked.values()], which);
    this.outbox.post(windowUpdate(s?.id ?? 0, bytes + 1));
  }

  widenAll(): void {
    for (const { id } of [...this.#asked.values()].slice(this.#widened)) this.outbox.post(windowUpdate(id, 1_000_000));
    this.#widened = this.#asked.size;
  }

  observe(): void {
    for (const f of this.#peer.messages()) if (f.stream !== 0) this.#onFrame(f);
  }

  #onFrame(f: Frame): void {
    const s = this.#asked.get(f.stream);
    if (s === undefined && this.#excused) return;
    insist(s !== undefined, `${f.type} on a stream that is none`);
    const said = `${f.type} for ${s.mark}, which is ${s.state}`;
    if (f.type === 'rstStream') s.state = 'over';
    else if (f.type === 'headers' && f.status >= 100 && f.status < 200) insist(s.state === 'waiting', said);
    else if (f.type === 'headers' && f.status > 0) this.#onAnswer(s, f, said);
    else this.#onBody(s, f, said);
  }

  #onBody(s: Asked, f: Frame, said: string): void {
    insist(s.state === 'answered', said);
    const body = f.type === 'data' ? f.payload.toString('latin1') : '';
    if (s.marked) insistOnMark(body, s.mark, said);
    s.got += body.length;
    if (f.end) this.#onEnd(s);
  }

  #onEnd(s: Asked): void {
    s.state = 'over';
    if (s.marked) this.#ledgers.answers.check(s.mark, s.got, 'a client of HTTP/2');
  }

  #onAnswer(s: Asked, f: Frame, said: string): void {
    insist(s.state === 'waiting', said);
    s.state = 'answered';
    const mark = f.fields.find((field) => field.startsWith('x-mark: '));
    s.marked = mark !== undefined;
    insist(mark === undefined || mark === `x-mark: ${s.mark}`, `${s.mark} got the answer with ${mark}`);
    if (f.end) this.#onEnd(s);
  }
}

type Fields = readonly (readonly [name: string, value: string])[];

function fieldsOf(mark: string, kind: Kind, shape: Shape): Fields {
  const marked = ['x-mark', mark] as const;
  if (kind === 'connect') return [[':method', 'CONNECT'], [':authority', 'a:443'], marked];
  const path = `/${kind}/${mark}${kind === 'bad' ? '#x' : ''}`;
  if (kind !== 'ws') return request(path, methodOf[shape], [marked, ...lengthOf(shape)]);
  const [method, ...rest] = request(path, 'CONNECT', [marked]);
  return [method ?? marked, [':protocol', 'websocket'], ...rest];
}

const any = Number.POSITIVE_INFINITY;
const leftOf: Readonly<Record<Shape, number>> = { none: any, head: any, length: 3, empty: 0, open: any };
const lengthOf = (shape: Shape): Fields => (leftOf[shape] === any ? [] : [['content-length', String(leftOf[shape])]]);
/** Broken frames, and right ones where they do not belong. */
export function nonsenseOn(id: number): readonly Buffer[] {
  return [
    data(0, 'x'),
    frame('ping', 0, 0, 'short'),
    windowUpdate(id, 0),
    windowUpdate(id, 0x7fffffff),
    data(id, '~', true),
    headers(id, [['x sum', '1']]),
    headers(id, [[':status', '99']], false),
    data(id + 100, 'x'),
    frame('rstStream', 0, id, 'x'),
    frame('settings', 0, 0, 'x'),
    headers(id, [['content-length', '5']]),
  ];
}
