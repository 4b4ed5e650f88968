/** The one Http2Host of a worker: everything that speaks HTTP/2 in it shares buffers and the end of the turn. */
import { perWorker } from '../worker/per-worker.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http2Host } from './host.ts';

export const http2HostOf: (runtime: WorkerRuntime) => Http2Host = perWorker((runtime) => {
  const { readBuffer, clock, timers, random } = runtime;
  return new Http2Host({ readBuffer, clock, timers, random, defer: (work) => runtime.defer(work) });
});
