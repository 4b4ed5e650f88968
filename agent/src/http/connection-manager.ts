/**
 * The HTTP connection manager: gives each accepted stream the state machine that serves its requests. How a request
 * goes on from there is in serve.ts, how an answer is got in router.ts.
 */
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import type { Stream } from '../net/stream.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { DownstreamConnection } from './downstream-connection.ts';
import { exchangePoolOf } from './exchange-pool.ts';
import { type HttpListenerContext, Manager } from './manager.ts';

/**
 * Compiles a connection manager for one worker. The function returned takes over a stream that is ready for reading.
 * @throws UserError for a rule, regular expression or format that does not compile
 */
export function createHttpConnectionManager(
  spec: HttpConnectionManagerSpec,
  runtime: WorkerRuntime,
  context: HttpListenerContext,
): (stream: Stream) => void {
  const manager = new Manager(spec, runtime, context);
  const exchanges = exchangePoolOf(runtime);
  return (stream) => {
    stream.handler = new DownstreamConnection(stream, manager, exchanges);
  };
}
