/** What all HTTP/2 connections of one worker share: the codec's host, and the ends of streams that are not in use. */
import { type Http2Counters, type Http2Stat, http2StatKinds, privateCounters } from '../http2/counters.ts';
import type { Http2Host } from '../http2/host.ts';
import { http2HostOf } from '../http2/host-of.ts';
import { FreeList } from '../worker/free-list.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Http2DownstreamStream } from './http2-downstream-stream.ts';
import type { Http2UpstreamStream } from './http2-upstream-stream.ts';

export class Http2Worker {
  readonly host: Http2Host;
  #downstreams: FreeList<Http2DownstreamStream> | null = null;
  #upstreams: FreeList<Http2UpstreamStream> | null = null;

  constructor(runtime: WorkerRuntime) {
    this.host = http2HostOf(runtime);
  }

  /** `make` comes from who uses them: the classes are not to be known here. */
  downstreams(make: () => Http2DownstreamStream): FreeList<Http2DownstreamStream> {
    return (this.#downstreams ??= new FreeList(make, this.host.timers));
  }

  upstreams(make: () => Http2UpstreamStream): FreeList<Http2UpstreamStream> {
    return (this.#upstreams ??= new FreeList(make, this.host.timers));
  }
}

const byRuntime = new WeakMap<WorkerRuntime, Http2Worker>();

export function http2WorkerOf(runtime: WorkerRuntime): Http2Worker {
  let worker = byRuntime.get(runtime);
  if (worker === undefined) {
    worker = new Http2Worker(runtime);
    byRuntime.set(runtime, worker);
  }
  return worker;
}

/** Counters in the worker's slots; at: their offsets in the block that starts at base. */
export function countersAt(
  slots: Float64Array,
  base: number | undefined,
  at: (name: Http2Stat) => number,
): Http2Counters {
  if (base === undefined) return privateCounters();
  const names = Object.keys(http2StatKinds) as Http2Stat[];
  const places = Object.fromEntries(names.map((name) => [name, base + at(name)]));
  return { slots, at: places as { readonly [S in Http2Stat]: number } };
}
