/** What all HTTP connections of one worker share: room to serialise heads in, and headers whose text is cached. */

import { type StaticHeader, staticHeader } from '../http1/head.ts';
import { perWorker } from '../worker/per-worker.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { GrpcCallTable } from './grpc-calls.ts';

const initialScratch = 32_768;
/** A head beyond this is rare, and its buffer is not kept. */
const largestScratch = 262_144;
const cachedServiceTimes = 512;

export class WorkerShared {
  readonly grpcCalls = new GrpcCallTable();
  readonly #runtime: WorkerRuntime;
  #scratch: Buffer = Buffer.allocUnsafeSlow(initialScratch);
  #dateSecond = -1;
  #date: StaticHeader = staticHeader('date', '');
  readonly #serviceTimes: (StaticHeader | undefined)[] = [];

  constructor(runtime: WorkerRuntime) {
    this.#runtime = runtime;
  }

  /** A buffer of at least that size; its content is only good until the next call. */
  scratch(bytes: number): Buffer {
    if (bytes > largestScratch) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(bytes * 2);
    return this.#scratch;
  }

  /** `date` of the current second. */
  date(): StaticHeader {
    const second = Math.floor(this.#runtime.clock.wallMs / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = staticHeader('date', new Date(second * 1000).toUTCString());
    }
    return this.#date;
  }

  /** `x-envoy-upstream-service-time` of whole milliseconds. */
  serviceTime(elapsedMs: number): StaticHeader {
    const ms = Math.max(0, Math.floor(elapsedMs));
    if (ms >= cachedServiceTimes) return staticHeader('x-envoy-upstream-service-time', String(ms));
    return (this.#serviceTimes[ms] ??= staticHeader('x-envoy-upstream-service-time', String(ms)));
  }
}

export const workerShared: (runtime: WorkerRuntime) => WorkerShared = perWorker((runtime) => new WorkerShared(runtime));
