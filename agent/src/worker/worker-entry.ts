/**
 * A worker thread: owns an epoll loop and an engine, takes orders from the main thread between turns, and never
 * returns to Node's own event loop until it is told to exit.
 */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { workerShared } from '../http/worker-shared.ts';
import { createAccessLogWriter } from '../log/access-log.ts';
import type { ConfigUpdate, FromWorker, ToWorker } from '../model/update.ts';
import { Loop } from '../net/loop.ts';
import { workerStat, workerStatBase } from '../stats/layout.ts';
import { inlineFurther } from '../sys/compiler.ts';
import { collectGarbage } from '../sys/heap.ts';
import * as libc from '../sys/libc.ts';
import { runSoon } from '../sys/scheduling.ts';
import { selfTest } from '../sys/self-test.ts';
import type { OwnCertificate } from '../sys/tls-context.ts';
import { takeWake } from '../sys/wake.ts';
import { ConnectionCensus } from './connection-census.ts';
import { ConnectionTallies } from './connection-tallies.ts';
import { Engine } from './engine.ts';
import { seededRandom } from './random.ts';

/** What the pool hands over at start. */
export interface WorkerStart {
  readonly port: MessagePort;
  readonly wakeFd: number;
  readonly slots: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
  /** A byte for each descriptor that the worker has open. */
  readonly openFds: SharedArrayBuffer;
  /** See ConnectionCensus. */
  readonly census: SharedArrayBuffer;
  /** See ConnectionTallies. */
  readonly tallies: SharedArrayBuffer;
  readonly index: number;
  readonly drainMs: number;
  readonly seed: number;
  /** For the self-test; made outside, because node:crypto costs a thread 0.6 MB. */
  readonly throwaway: OwnCertificate;
}

const edgeIntervalMs = 1000;

function main(start: WorkerStart): void {
  const { port, wakeFd } = start;
  const post = (message: FromWorker): void => port.postMessage(message);
  inlineFurther();
  runSoon();
  selfTest(start.throwaway);
  const slots = new Float64Array(start.slots);
  const loop = new Loop(new Uint8Array(start.openFds));
  const engine = new Engine(loop, {
    slots,
    log: createAccessLogWriter(start.ring, slots, Math.random, () => post({ type: 'log-pressure' })),
    random: seededRandom(start.seed),
    isSpeaker: start.index === 0,
    drainMs: start.drainMs,
    census: new ConnectionCensus(new Int32Array(start.census), start.index),
    tallies: new ConnectionTallies(new Int32Array(start.tallies), start.index),
    report: (level, msg, fields) => post({ type: 'log', level, msg, fields }),
  });
  let running = true;
  const takeMessages = (): void => {
    takeWake(wakeFd);
    for (let m = receiveMessageOnPort(port); m !== undefined; m = receiveMessageOnPort(port)) {
      if (!obey(engine, m.message as ToWorker, post)) running = false;
    }
  };
  loop.add(wakeFd, { onEvents: takeMessages }, libc.epoll.in);
  const postCalls = (): void => {
    const calls = workerShared(engine).grpcCalls.takeChanges();
    if (calls.length > 0) post({ type: 'grpc-calls', calls });
  };
  const postEdges = (): void => {
    const edges = engine.edges.takeChanges();
    if (edges !== null) post({ type: 'edges', edges });
    postCalls();
    loop.after(edgeIntervalMs, postEdges);
  };
  loop.after(edgeIntervalMs, postEdges);
  post({ type: 'ready' });
  const turns = workerStatBase + workerStat.at.loop_turns;
  while (running) {
    loop.run();
    slots[turns] = (slots[turns] ?? 0) + 1;
  }
  const last = engine.edges.takeChanges();
  if (last !== null) post({ type: 'edges', edges: last });
  postCalls();
  engine.close();
  loop.close();
  port.close();
}

/** False when the order was to exit. */
function obey(engine: Engine, message: ToWorker, post: (m: FromWorker) => void): boolean {
  switch (message.type) {
    case 'update':
      post({ type: 'applied', id: message.id, errors: apply(engine, message.update) });
      return true;
    case 'drain':
      engine.drain(message.direction, message.deadlineMs);
      return true;
    case 'stop-listeners':
      engine.stopListeners(message.direction);
      return true;
    case 'query-hosts':
      post({ type: 'hosts', id: message.id, clusters: engine.hosts() });
      return true;
    case 'collect':
      collectGarbage();
      return true;
    case 'exit':
      return false;
  }
}

/** Every update gets an answer, come what may: the sender waits for it. */
function apply(engine: Engine, update: ConfigUpdate): readonly string[] {
  try {
    return engine.apply(update);
  } catch (error) {
    return [`the update was not applied: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  }
}

main(workerData as WorkerStart);
