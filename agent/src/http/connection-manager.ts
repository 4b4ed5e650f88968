/**
 * The HTTP connection manager: gives each accepted stream the state machine that serves its requests. How a request
 * goes on from there is in serve.ts, how an answer is got in router.ts.
 */
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import type { Stream } from '../net/stream.ts';
import { tcpLogRecord } from '../tcp/log-record.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { countOpened } from './connection-count.ts';
import { type ExchangePool, exchangePoolOf } from './exchange-pool.ts';
import { Http1Downstream } from './http1-downstream.ts';
import { Http2Downstream } from './http2-downstream.ts';
import { type HttpListenerContext, Manager } from './manager.ts';

export interface HttpConnectionManager {
  /** Takes over a stream that is ready for reading. */
  accept(stream: Stream): void;
  /** A network filter has refused the connection: it is logged and closed. */
  deny(stream: Stream, details: string): void;
  /** Its configuration was replaced: requests that begin from now on are served as the next one says. */
  succeed(next: object): void;
}

/** What ALPN has agreed on, or the listener's inspector has seen, by the name of either. */
const negotiated: Readonly<Record<string, 'http1' | 'http2'>> = {
  h2: 'http2',
  h2c: 'http2',
  'http/1.1': 'http1',
  'http/1.0': 'http1',
};

function accept(stream: Stream, manager: Manager, exchanges: ExchangePool): void {
  const { codec } = manager.spec;
  const protocol = codec === 'auto' ? negotiated[stream.info.alpn] : codec;
  if (protocol === 'http2') {
    countOpened(manager, stream);
    new Http2Downstream(stream, manager, exchanges);
  } else stream.handler = new Http1Downstream(stream, manager, exchanges, protocol === undefined);
}

const managers = new WeakMap<object, Manager>();

/**
 * Compiles a connection manager for one worker.
 * @throws UserError for a rule, regular expression or format that does not compile
 */
export function createHttpConnectionManager(
  spec: HttpConnectionManagerSpec,
  runtime: WorkerRuntime,
  context: HttpListenerContext,
): HttpConnectionManager {
  const manager = new Manager(spec, runtime, context);
  const exchanges = exchangePoolOf(runtime);
  const made: HttpConnectionManager = {
    accept(stream) {
      accept(stream, manager, exchanges);
    },
    deny(stream, details) {
      if (spec.accessLog.length > 0) {
        runtime.logAccess(spec.accessLog, tcpLogRecord({ stream, startTimeMs: runtime.clock.wallMs, details }));
      }
      stream.close();
    },
    succeed(next) {
      manager.successor = managers.get(next) ?? null;
    },
  };
  managers.set(made, manager);
  return made;
}
