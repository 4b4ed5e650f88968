/** What V8's optimising compiler is told beside its defaults. */
import v8 from 'node:v8';

/** Bytes of bytecode of callees that one compiled function may take in; V8's own limit is 920. */
const inlinedBytes = 3000;

/**
 * From now on the compiler takes in three times as much of what a function calls: a request runs through a hundred small
 * functions, and calls between them were a tenth of what a gRPC call cost. For all threads. To be called when a worker
 * begins: Node's own modules are loaded by then, whose cached code V8 would refuse with any flag changed, and nothing
 * of ours is compiled yet.
 */
export function inlineFurther(): void {
  v8.setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${inlinedBytes}`);
}
