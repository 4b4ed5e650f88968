/** Ends threads while V8 compiles what they ran, a function full of fast calls; for thread-end.test.ts. */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { bindInt } from './ffi.ts';
import { endWithCompilerAtRest } from './thread-end.ts';

const threads = 10;
const calls = 1000;
/** Threads run it for so long each, more and more, so that some end in the middle of it. */
const firstMs = 100;
const stepMs = 12;

/** A function so long that it is still being compiled when the thread has run it often enough. */
function longFunction(getppid: (a: bigint, b: bigint) => number): () => number {
  const sum = Array.from({ length: calls }, () => 'call(0n, 0n)').join(' + ');
  return new Function('call', `return () => ${sum}`)(getppid) as () => number;
}

if (isMainThread) {
  for (let i = 0; i < threads; i++)
    await once(new Worker(new URL(import.meta.url), { workerData: firstMs + i * stepMs }), 'exit');
  process.stdout.write(`${threads} threads have ended\n`);
} else {
  endWithCompilerAtRest();
  const run = longFunction(bindInt('getppid', 2));
  for (const end = performance.now() + workerData; performance.now() < end; ) run();
}
