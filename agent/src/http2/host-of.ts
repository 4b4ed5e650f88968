/** The one Http2Host of a worker: everything that speaks HTTP/2 in it shares buffers and the end of the turn. */
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http2Host } from './host.ts';

const byRuntime = new WeakMap<WorkerRuntime, Http2Host>();

export function http2HostOf(runtime: WorkerRuntime): Http2Host {
  let host = byRuntime.get(runtime);
  if (host === undefined) {
    const { readBuffer, clock, timers, random } = runtime;
    host = new Http2Host({ readBuffer, clock, timers, random, defer: (work) => runtime.defer(work) });
    byRuntime.set(runtime, host);
  }
  return host;
}
