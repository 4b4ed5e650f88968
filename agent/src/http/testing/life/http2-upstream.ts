/** An upstream of HTTP/2: answers any of the streams that are open, in pieces, and checks what it got of bodies. */
import type { FakeStream } from '../fake-stream.ts';
import { data, type Frame, goaway, headers, RawPeer, reset, settings, windowUpdate } from '../raw-http2.ts';
import { nonsenseOn } from './http2-client.ts';
import type { Ledgers } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { insist, insistOnMark, type LifeUpstream, newest, pick, type Shape } from './peers.ts';
import type { Kind, LifeSetup } from './setup.ts';

interface Asked {
  readonly id: number;
  readonly mark: string;
  readonly isHead: boolean;
  readonly isConnect: boolean;
  /** The agent has sent its end, or a reset. */
  sent: boolean;
  state: 'waiting' | 'answering' | 'over';
  length: number;
  /** Bytes of its body so far. */
  got: number;
}

export class Http2LifeUpstream implements LifeUpstream {
  readonly outbox: Outbox;
  readonly #ledgers: Ledgers;
  readonly #peer: RawPeer;
  readonly #allows: readonly (readonly [id: number, value: number])[];
  readonly #asked = new Map<number, Asked>();
  /** How many of them have had their windows opened for good. */
  #widened = 0;
  hasNonsense = false;
  #greeted = false;
  /** The one that was answered last. */
  #newest: Asked | null = null;

  constructor(stream: FakeStream, { streams, window }: LifeSetup, ledgers: Ledgers) {
    this.#ledgers = ledgers;
    this.outbox = new Outbox(stream);
    this.#peer = new RawPeer(stream, true);
    this.#allows = [
      [3, streams],
      [4, window],
      [8, streams > 1 ? 1 : 0],
    ];
  }

  greet(): void {
    if (this.#greeted) return;
    this.#greeted = true;
    this.outbox.post(settings(this.#allows));
  }

  #choose(which: number, state: Asked['state']): Asked | undefined {
    this.greet();
    const found = [...this.#asked.values()].filter((s) => s.state === state);
    return which === newest ? found.find((s) => s === this.#newest) : pick(found, which);
  }

  inform(which: number): void {
    const s = this.#choose(which, 'waiting');
    if (s !== undefined) this.outbox.post(headers(s.id, [[':status', '103']], false));
  }

  answer(which: number, status: number, shape: Shape, location: Kind): void {
    const s = this.#choose(which, 'waiting');
    if (s === undefined) return;
    const last = shape === 'none' || shape === 'empty' || s.isHead || status === 204 || status === 304;
    s.state = last ? 'over' : 'answering';
    this.#newest = s;
    this.#ledgers.answers.begin(s.mark, s.isConnect && status === 200);
    this.#ledgers.answers.sent(s.mark, 0, last);
    s.length = shape === 'length' ? 6 : -1;
    const more = status === 302 ? ([['location', `http://a/${location}/${s.mark}`]] as const) : [];
    const length = shape === 'length' && !last ? ([['content-length', '6']] as const) : [];
    this.outbox.post(headers(s.id, [[':status', `${status}`], ['x-mark', s.mark], ...more, ...length], last));
  }

  body(which: number, bytes: number, last: boolean): void {
    const s = this.#choose(which, 'answering');
    if (s === undefined) return;
    const n = s.length < 0 ? bytes : last ? s.length : Math.min(s.length, bytes);
    if (s.length > 0) s.length -= n;
    if (last) s.state = 'over';
    this.#ledgers.answers.sent(s.mark, n, last || s.length === 0);
    this.outbox.post(data(s.id, s.mark.repeat(n), last));
  }

  trailers(which: number): void {
    const s = this.#choose(which, 'answering');
    if (s === undefined) return;
    s.state = 'over';
    this.#ledgers.answers.sent(s.mark, 0, s.length <= 0);
    this.outbox.post(headers(s.id, [['x-sum', '1']]));
  }

  reset(which: number, code: number): void {
    this.greet();
    const open = [...this.#asked.values()].filter((a) => a.state !== 'over' || !a.sent);
    const s = which === newest ? open.find((a) => a === this.#newest) : pick(open, which);
    if (s === undefined) return;
    s.state = 'over';
    this.outbox.post(reset(s.id, code));
  }

  goAway(which: number): void {
    this.greet();
    const s = pick([...this.#asked.values()], which);
    this.outbox.post(goaway(s?.id ?? 0, which % 2));
    for (const a of this.#asked.values()) if (a.id > (s?.id ?? 0)) a.state = 'over';
  }

  nonsense(which: number): void {
    this.hasNonsense = true;
    const last = [...this.#asked.values()].at(-1);
    this.#ledgers.answers.spoil(last?.mark ?? '');
    this.outbox.post(pick(nonsenseOn(last?.id ?? 1), which));
  }

  widen(which: number, bytes: number): void {
    this.greet();
    const s = pick([...this.#asked.values()], which);
    this.outbox.post(windowUpdate(s?.id ?? 0, bytes + 1));
  }

  widenAll(): void {
    this.greet();
    for (const { id } of [...this.#asked.values()].slice(this.#widened)) this.outbox.post(windowUpdate(id, 1_000_000));
    this.#widened = this.#asked.size;
  }

  find(mark: string): number {
    return [...this.#asked.values()].filter((s) => s.state === 'waiting').findIndex((s) => s.mark === mark);
  }

  observe(): void {
    for (const f of this.#peer.messages()) if (f.stream !== 0) this.#onFrame(f);
  }

  #onFrame(f: Frame): void {
    const s = this.#asked.get(f.stream);
    if (s === undefined) {
      insist(f.type === 'headers', `${f.type} on a stream that is none`);
      const mark = f.fields.find((field) => field.startsWith('x-mark: '))?.slice(8) ?? '?';
      const isHead = f.fields[0]?.startsWith('HEAD ') === true;
      const isConnect = f.fields[0]?.startsWith('CONNECT ') === true;
      this.#asked.set(f.stream, {
        id: f.stream,
        mark,
        isHead,
        isConnect,
        sent: f.end,
        state: 'waiting',
        length: -1,
        got: 0,
      });
      if (f.end) this.#ledgers.requests.check(mark, 0, 'an upstream of HTTP/2');
      return;
    }
    if (f.type === 'rstStream') {
      s.sent = true;
      s.state = 'over';
      return;
    }
    insist(!s.sent, `${f.type} behind the end of ${s.mark}`);
    s.sent = f.end;
    if (f.type === 'data') {
      insistOnMark(f.payload.toString('latin1'), s.mark, 'a request of HTTP/2');
      s.got += f.payload.length;
    }
    if (f.end) this.#ledgers.requests.check(s.mark, s.got, 'an upstream of HTTP/2');
  }
}
