/** Clients, the agent and upstreams, with what they share: the marks that tell requests apart, and the log. */
import type { FakeStream } from '../fake-stream.ts';
import type { Dialled, FakeWorker } from '../fake-worker.ts';
import { Http1LifeClient } from './http1-client.ts';
import { Http1LifeUpstream } from './http1-upstream.ts';
import { Http2LifeClient } from './http2-client.ts';
import { Http2LifeUpstream } from './http2-upstream.ts';
import { newLedgers } from './ledger.ts';
import { insist, type LifeClient, type LifeUpstream } from './peers.ts';
import { RawLifeUpstream } from './raw-upstream.ts';
import { type LifeSetup, makeWorker } from './setup.ts';

const marks = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

export class LifeWorld {
  readonly setup: LifeSetup;
  readonly w: FakeWorker;
  readonly clients: LifeClient[] = [];
  readonly #upstreams = new Map<FakeStream, LifeUpstream>();
  readonly #logged = new Set<string>();
  readonly #ledgers = newLedgers();
  #marks = 0;

  constructor(setup: LifeSetup) {
    this.setup = setup;
    this.w = makeWorker(setup);
    this.w.onLog = (record) => this.#onLog(record.request?.header('x-mark') ?? null);
  }

  #onLog(mark: string | null): void {
    if (mark === null) return;
    insist(!this.#logged.has(mark), `${mark} was logged twice`);
    this.#logged.add(mark);
  }

  /** null when there are no more. */
  nextMark(): string | null {
    return marks[this.#marks++] ?? null;
  }

  /** knows: by ALPN; otherwise the agent looks at the first bytes. */
  connect(protocol: 'http1' | 'http2', knows: boolean): LifeClient {
    const isHttp2 = protocol === 'http2';
    const stream = this.w.client(knows ? { alpn: isHttp2 ? 'h2' : 'http/1.1' } : {});
    const client = isHttp2
      ? new Http2LifeClient(stream, this.setup.window, this.#ledgers)
      : new Http1LifeClient(stream, this.#ledgers);
    this.clients.push(client);
    return client;
  }

  get liveClients(): readonly LifeClient[] {
    return this.clients.filter((c) => !c.outbox.stream.dead);
  }

  get liveUpstreams(): readonly LifeUpstream[] {
    return [...this.#upstreams.values()].filter((u) => !u.outbox.stream.dead);
  }

  /** Connections to upstreams, up or on their way. */
  get dialled(): readonly Dialled[] {
    return this.w.dialled.filter((d) => !d.stream.dead);
  }

  get hasNonsense(): boolean {
    return [...this.clients, ...this.#upstreams.values()].some((peer) => peer.hasNonsense);
  }

  /** Looks at everything that has gone out. */
  observe(): void {
    for (const dialled of this.w.dialled) this.#meet(dialled);
    for (const client of this.clients) client.observe();
    for (const upstream of this.#upstreams.values()) upstream.observe();
  }

  /** The first bytes say what an upstream is spoken to in. */
  #meet({ stream, options }: Dialled): void {
    if (this.#upstreams.has(stream)) return;
    // What mirrors answer is nobody's.
    const ledgers = options.target === 'app' ? this.#ledgers : { ...newLedgers(), requests: this.#ledgers.requests };
    const upstream =
      options.target === 'tcp'
        ? new RawLifeUpstream(stream)
        : stream.output.startsWith('PRI ')
          ? new Http2LifeUpstream(stream, this.setup, ledgers)
          : new Http1LifeUpstream(stream, ledgers);
    if (options.target === 'tcp' || stream.output !== '') this.#upstreams.set(stream, upstream);
  }
}
