/** Exchanges of one worker that are not in use: a connection only holds one while a request is under way. */
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Exchange } from './exchange.ts';

const maxFree = 256;

export class ExchangePool {
  readonly #runtime: WorkerRuntime;
  readonly #free: Exchange[] = [];

  constructor(runtime: WorkerRuntime) {
    this.#runtime = runtime;
  }

  take(): Exchange {
    return this.#free.pop() ?? new Exchange(this.#runtime);
  }

  give(exchange: Exchange): void {
    if (this.#free.length >= maxFree) return;
    exchange.requestHead.shrink();
    exchange.responseHead.shrink();
    this.#free.push(exchange);
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
