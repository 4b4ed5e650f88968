/** What all of a worker share without belonging to any one of them. */
import type { WorkerRuntime } from './runtime.ts';

/** Of each worker the one that `make` makes when somebody first asks for it. */
export function perWorker<T>(make: (runtime: WorkerRuntime) => T): (runtime: WorkerRuntime) => T {
  const made = new WeakMap<WorkerRuntime, T>();
  return (runtime) => {
    let one = made.get(runtime);
    if (one === undefined) {
      one = make(runtime);
      made.set(runtime, one);
    }
    return one;
  };
}
