/** V8's own interface to this thread's isolate, by the names that the C++ compiler gives its functions. */
import { bindPointer, bindReentrant2 } from './ffi.ts';

const currentIsolate = '_ZN2v87Isolate10GetCurrentEv';

const notifications = {
  /** Collects garbage and, at level 2, code that has not run since the last time. */
  memoryPressure: '_ZN2v87Isolate26MemoryPressureNotificationENS_19MemoryPressureLevelE',
  /** Drops compilations that wait, and collects garbage until there is none. */
  lowMemory: '_ZN2v87Isolate21LowMemoryNotificationEv',
} as const;

/** Throws where Node does not export them. */
export function notifyIsolate(what: keyof typeof notifications, level = 0n): void {
  bindReentrant2(notifications[what])(bindPointer(currentIsolate, 2)(0n, 0n), level);
}
