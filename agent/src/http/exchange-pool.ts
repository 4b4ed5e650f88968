/** Exchanges of one worker that are not in use: a connection only holds one while a request is under way. */
import { FreeList } from '../worker/free-list.ts';
import { perWorker } from '../worker/per-worker.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Exchange } from './exchange.ts';

export class ExchangePool {
  readonly #free: FreeList<Exchange>;

  constructor(runtime: WorkerRuntime) {
    this.#free = new FreeList(() => new Exchange(runtime), runtime.timers);
  }

  /** How many are in use. */
  get lent(): number {
    return this.#free.lent;
  }

  take(): Exchange {
    return this.#free.take();
  }

  give(exchange: Exchange): void {
    exchange.requestHead.shrink();
    exchange.responseHead.shrink();
    this.#free.give(exchange);
  }
}

export const exchangePoolOf: (runtime: WorkerRuntime) => ExchangePool = perWorker(
  (runtime) => new ExchangePool(runtime),
);
