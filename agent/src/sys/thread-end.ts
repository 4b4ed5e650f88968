/**
 * How a thread that has made fast calls may end. Node frees their descriptions when a thread's environment goes, and only
 * then stops V8's compiler, which may be reading them for a function that calls them: the whole process dies of it
 * (`Check failed: FastApiCallNode::ArityForArgc`, `index < ValueInputCount`, or a segmentation fault). So a thread ends
 * when nothing is compiled for it any more: what waits is dropped, what runs is waited for, some 10 ms if anything.
 */
import v8 from 'node:v8';
import { notifyIsolate } from './isolate.ts';

/** More than V8 holds of malloc for a thread at rest (300 to 600 KB); a compilation has more within a millisecond or two. */
const atRestBytes = 1_048_576;
const lookEveryMs = 2;
/** So many looks in a row must find it at rest: one alone may come as a compilation begins. */
const looks = 3;
const patienceMs = 1_000;

/** Collects garbage, before which V8 drops the compilations that wait. */
function dropWaiting(): void {
  try {
    notifyIsolate('lowMemory');
  } catch {
    // a Node that does not export them: what waits is waited for, if it begins in time
  }
}

function awaitCompiler(): void {
  dropWaiting();
  const bell = new Int32Array(new SharedArrayBuffer(4));
  let seen = 0;
  for (let waitedMs = 0; waitedMs < patienceMs && seen < looks; waitedMs += lookEveryMs) {
    Atomics.wait(bell, 0, 0, lookEveryMs);
    seen = v8.getHeapStatistics().malloced_memory < atRestBytes ? seen + 1 : 0;
  }
}

/** Once in every thread that makes fast calls. A thread that is terminated from outside does not hear of it. */
export function endWithCompilerAtRest(): void {
  process.on('exit', awaitCompiler);
}
