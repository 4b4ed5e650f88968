import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { silentLogger, systemClock } from '@chainmail/runtime';
import { freePort } from '@chainmail/runtime/testing';
import test, { type ExecutionContext } from 'ava';
import type { FilterChainSpec, ListenerSpec } from '../model/listener.ts';
import type { ConfigUpdate } from '../model/update.ts';
import { connectionLimitStat, listenerStat, workerStat, workerStatBase } from '../stats/layout.ts';
import { StatRegistry } from '../stats/registry.ts';
import { WorkerPool, type WorkerPoolOptions } from './pool.ts';
import { echo, exchange, serve, until } from './test-rig.ts';
import { chain, cluster, emptyUpdate, endpoints, listener, slotsAt } from './testing.ts';

/** A pool that runs until the test is over. */
async function startPool(t: ExecutionContext, options: Partial<WorkerPoolOptions> = {}): Promise<WorkerPool> {
  const pool = new WorkerPool({ concurrency: 1, log: silentLogger, drainMs: 1000, onMemory: () => {}, ...options });
  t.teardown(() => pool.stop());
  await pool.start();
  return pool;
}

/** What makes the workers hand on to an echo, and the port for it; they share it, so it is known beforehand. */
async function echoing(
  t: ExecutionContext,
  chained: Partial<FilterChainSpec> = {},
  listening: Partial<ListenerSpec> = {},
): Promise<{ readonly update: ConfigUpdate; readonly port: number }> {
  const { server, port: echoPort } = await serve(echo);
  t.teardown(() => server.close());
  const port = await freePort();
  const spec = listener([chain('a', 'app', chained)], { addresses: [{ ip: '127.0.0.1', port }], ...listening });
  const update = { clusters: [cluster('app', 0)], endpoints: [endpoints('app', echoPort)], listeners: [spec] };
  return { update: { ...emptyUpdate, ...update }, port };
}

/** The threads that are started from now on. */
function startedWorkers(t: ExecutionContext): readonly Worker[] {
  const workers: Worker[] = [];
  const note = (worker: Worker): void => {
    workers.push(worker);
  };
  process.on('worker', note);
  t.teardown(() => process.off('worker', note));
  return workers;
}

/** Connects and says whether the connection is served. */
async function served(port: number): Promise<{ readonly socket: net.Socket; readonly ok: boolean }> {
  const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => {});
  socket.write('x');
  const ok = await new Promise<boolean>((resolve) => {
    socket.once('data', () => resolve(true)).once('close', () => resolve(false));
  });
  return { socket, ok };
}

/** Opens that many connections, which are served, and one more, which is not. */
async function fill(t: ExecutionContext, port: number, count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  for (let i = 0; i < count; i++) {
    const { socket, ok } = await served(port);
    t.teardown(() => socket.destroy());
    t.true(ok);
    sockets.push(socket);
  }
  t.false((await served(port)).ok);
  return sockets;
}

test.serial('two workers share a port, take updates, answer questions and end', async (t) => {
  const listening = await freePort();
  const addresses = ['127.0.0.1', '::1'].map((ip) => ({ ip, port: listening }));
  const { update } = await echoing(t, {}, { addresses });
  const indexes: number[] = [];
  const pool = await startPool(t, { concurrency: 2, onMemory: ({ index }) => indexes.push(index) });
  t.deepEqual(indexes, [0, 1]);
  t.deepEqual(await pool.update(update), []);
  for (let i = 0; i < 10; i++) t.is((await exchange(listening, Buffer.from('hi'))).bytes.toString(), 'hi');
  const hosts = await pool.hosts();
  t.is(hosts.length, 2);
  t.deepEqual(
    hosts.map((worker) => worker.map((c) => c.cluster)),
    [['app'], ['app']],
  );
  t.true(pool.memories.every((m) => m.slots[workerStatBase + workerStat.at.update_total] === 1));
  const refused = await pool.update({
    ...emptyUpdate,
    listeners: [listener([chain('a', 'app')], { name: 'x', addresses: [{ ip: '192.0.2.1', port: 1 }] })],
  });
  t.is(refused.length, 1, 'the same complaint of both workers is told once');
});

test.serial('a worker that dies is started anew with the whole configuration', async (t) => {
  const { update, port } = await echoing(t);
  const workers = startedWorkers(t);
  const pool = await startPool(t);
  await pool.update(update);
  t.is((await exchange(port, Buffer.from('before'))).bytes.toString(), 'before');
  await workers[0]?.terminate();
  await until('the second worker', () => workers.length === 2);
  let answer = '';
  for (let i = 0; i < 2000 && answer === ''; i++) {
    answer = (await exchange(port, Buffer.from('after'))).bytes.toString();
    if (answer === '') await delay(25);
  }
  t.is(answer, 'after');
});

test.serial('the limit on connections holds over all workers, and gives way when one closes', async (t) => {
  const { update, port } = await echoing(t);
  const pool = await startPool(t, { concurrency: 2 });
  await pool.update(update);
  pool.limitConnections(6);
  const sum = (slot: number): number => pool.memories.reduce((n, m) => n + (m.slots[slot] ?? 0), 0);
  const sockets = await fill(t, port, 6);
  t.is(sum(slotsAt.listener + listenerStat.at.downstream_global_cx_overflow), 1);
  t.is(sum(workerStatBase + workerStat.at.connections_active), 6);
  sockets.pop()?.destroy();
  await until('one is gone', () => sum(workerStatBase + workerStat.at.connections_active) === 5);
  const again = await served(port);
  t.true(again.ok);
  again.socket.destroy();
});

test.serial('a connection_limit holds over all workers, and a dead worker gives its places back', async (t) => {
  const limits = [{ statPrefix: 'l', stats: 900, cell: 5, maxConnections: 6, delayMs: 0 }];
  const { update, port } = await echoing(t, { limits });
  const workers = startedWorkers(t);
  const pool = await startPool(t, { concurrency: 2 });
  await pool.update(update);
  await fill(t, port, 6);
  const ended = new Promise((done) => workers[0]?.once('exit', done));
  await workers[0]?.terminate();
  await ended;
  // The dead one's are free at once; the other worker's are not.
  const left = pool.memories[1]?.slots[900 + connectionLimitStat.at.active_connections] ?? 0;
  await fill(t, port, 6 - left);
});

test.serial('what a dead worker had open is no longer counted as open', async (t) => {
  const workers = startedWorkers(t);
  const registry = new StatRegistry(systemClock);
  const base = registry.listener('test');
  const { update, port } = await echoing(t, {}, { stats: base });
  const pool = await startPool(t, {
    onMemory: ({ slots }) => registry.attachWorker(slots),
    onCrash: ({ slots }) => registry.clearGauges(slots),
  });
  pool.limitConnections(1);
  await pool.update(update);
  const { socket, ok } = await served(port);
  t.true(ok);
  t.is(registry.sum(base + listenerStat.at.downstream_cx_active), 1);
  await workers[0]?.terminate();
  await until('closed', () => socket.closed);
  await until('the gauge is corrected', () => registry.sum(base + listenerStat.at.downstream_cx_active) === 0);
  t.is(registry.sum(base + listenerStat.at.downstream_cx_total), 1, 'counters stay');
  t.is(registry.sum(workerStatBase + workerStat.at.connections_active), 0);
  let answered = false;
  for (let i = 0; i < 400 && !answered; i++) {
    const next = await served(port);
    answered = next.ok;
    next.socket.destroy();
    if (!answered) await delay(25);
  }
  t.true(answered, 'the limit does not count the dead');
});
