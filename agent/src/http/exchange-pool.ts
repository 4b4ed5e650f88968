/** Exchanges of one worker that are not in use: a connection only holds one while a request is under way. */
import { FreeList } from '../worker/free-list.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Exchange } from './exchange.ts';

export class ExchangePool {
  readonly #free: FreeList<Exchange>;

  constructor(runtime: WorkerRuntime) {
    this.#free = new FreeList(() => new Exchange(runtime), runtime.timers);
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

const byRuntime = new WeakMap<WorkerRuntime, ExchangePool>();

export function exchangePoolOf(runtime: WorkerRuntime): ExchangePool {
  let pool = byRuntime.get(runtime);
  if (pool === undefined) {
    pool = new ExchangePool(runtime);
    byRuntime.set(runtime, pool);
  }
  return pool;
}
