import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { silentLogger, systemClock } from '@chainmail/runtime';
import test from 'ava';
import { connectionLimitStat, listenerStat, workerStat, workerStatBase } from '../stats/layout.ts';
import { StatRegistry } from '../stats/registry.ts';
import { WorkerPool } from './pool.ts';
import { echo, exchange, serve, until } from './test-rig.ts';
import { chain, cluster, emptyUpdate, endpoints, listener, slotsAt } from './testing.ts';

/** A port that was free a moment ago; workers share it by SO_REUSEPORT, so it has to be known beforehand. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test.serial('two workers share a port, take updates, answer questions and end', async (t) => {
  const { server, port } = await serve(echo);
  const listening = await freePort();
  const indexes: number[] = [];
  const pool = new WorkerPool({
    concurrency: 2,
    log: silentLogger,
    drainMs: 1000,
    onMemory: ({ index }) => indexes.push(index),
  });
  await pool.start();
  t.deepEqual(indexes, [0, 1]);
  const errors = await pool.update({
    ...emptyUpdate,
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [
      listener([chain('a', 'app')], {
        addresses: [
          { ip: '127.0.0.1', port: listening },
          { ip: '::1', port: listening },
        ],
      }),
    ],
  });
  t.deepEqual(errors, []);
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
  await pool.stop();
  server.close();
});

test.serial('a worker that dies is started anew with the whole configuration', async (t) => {
  const { server, port } = await serve(echo);
  const listening = await freePort();
  const workers: Worker[] = [];
  const note = (worker: Worker): void => {
    workers.push(worker);
  };
  process.on('worker', note);
  const pool = new WorkerPool({ concurrency: 1, log: silentLogger, drainMs: 1000, onMemory: () => {} });
  await pool.start();
  await pool.update({
    ...emptyUpdate,
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('a', 'app')], { addresses: [{ ip: '127.0.0.1', port: listening }] })],
  });
  t.is((await exchange(listening, Buffer.from('before'))).bytes.toString(), 'before');
  await workers[0]?.terminate();
  await until('the second worker', () => workers.length === 2, 15_000);
  let answer = '';
  for (let i = 0; i < 400 && answer === ''; i++) {
    answer = (await exchange(listening, Buffer.from('after'))).bytes.toString();
    if (answer === '') await delay(25);
  }
  t.is(answer, 'after');
  await pool.stop();
  process.off('worker', note);
  server.close();
});

/** Connects and says whether the connection is served. */
async function served(port: number): Promise<{ readonly socket: net.Socket; readonly ok: boolean }> {
  const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => {});
  socket.write('x');
  const ok = await new Promise<boolean>((resolve) => {
    socket.once('data', () => resolve(true)).once('close', () => resolve(false));
  });
  return { socket, ok };
}

test.serial('the limit on connections holds over all workers, and gives way when one closes', async (t) => {
  const { server, port } = await serve(echo);
  const listening = await freePort();
  const pool = new WorkerPool({ concurrency: 2, log: silentLogger, drainMs: 1000, onMemory: () => {} });
  await pool.start();
  const open = { ...emptyUpdate, clusters: [cluster('app', 0)], endpoints: [endpoints('app', port)] };
  const addresses = [{ ip: '127.0.0.1', port: listening }];
  await pool.update({ ...open, listeners: [listener([chain('a', 'app')], { addresses })] });
  pool.limitConnections(6);
  const sum = (slot: number): number => pool.memories.reduce((n, m) => n + (m.slots[slot] ?? 0), 0);
  const sockets: net.Socket[] = [];
  for (let i = 0; i < 6; i++) {
    const { socket, ok } = await served(listening);
    t.true(ok);
    sockets.push(socket);
  }
  t.false((await served(listening)).ok);
  t.is(sum(slotsAt.listener + listenerStat.at.downstream_global_cx_overflow), 1);
  t.is(sum(workerStatBase + workerStat.at.connections_active), 6);
  sockets.pop()?.destroy();
  await until('one is gone', () => sum(workerStatBase + workerStat.at.connections_active) === 5);
  const again = await served(listening);
  t.true(again.ok);
  for (const socket of [...sockets, again.socket]) socket.destroy();
  await pool.stop();
  server.close();
});

test.serial('a connection_limit holds over all workers, and a dead worker gives its places back', async (t) => {
  const { server, port } = await serve(echo);
  const listening = await freePort();
  const workers: Worker[] = [];
  const note = (worker: Worker): void => {
    workers.push(worker);
  };
  process.on('worker', note);
  const pool = new WorkerPool({ concurrency: 2, log: silentLogger, drainMs: 1000, onMemory: () => {} });
  await pool.start();
  process.off('worker', note);
  const limits = [{ statPrefix: 'l', stats: 900, cell: 5, maxConnections: 6, delayMs: 0 }];
  const open = { ...emptyUpdate, clusters: [cluster('app', 0)], endpoints: [endpoints('app', port)] };
  const addresses = [{ ip: '127.0.0.1', port: listening }];
  await pool.update({ ...open, listeners: [listener([chain('a', 'app', { limits })], { addresses })] });
  const sockets: net.Socket[] = [];
  for (let i = 0; i < 6; i++) {
    const { socket, ok } = await served(listening);
    t.true(ok);
    sockets.push(socket);
  }
  t.false((await served(listening)).ok);
  const ended = new Promise((done) => workers[0]?.once('exit', done));
  await workers[0]?.terminate();
  await ended;
  // The dead one's are free at once; the other worker's are not.
  const left = pool.memories[1]?.slots[900 + connectionLimitStat.at.active_connections] ?? 0;
  for (let i = left; i < 6; i++) {
    const { socket, ok } = await served(listening);
    t.true(ok);
    sockets.push(socket);
  }
  t.false((await served(listening)).ok);
  for (const socket of sockets) socket.destroy();
  await pool.stop();
  server.close();
});

test.serial('what a dead worker had open is no longer counted as open', async (t) => {
  const { server, port } = await serve(echo);
  const listening = await freePort();
  const workers: Worker[] = [];
  const note = (worker: Worker): void => {
    workers.push(worker);
  };
  process.on('worker', note);
  const registry = new StatRegistry(systemClock);
  const base = registry.listener('test');
  const pool = new WorkerPool({
    concurrency: 1,
    log: silentLogger,
    drainMs: 1000,
    onMemory: ({ slots }) => registry.attachWorker(slots),
    onCrash: ({ slots }) => registry.clearGauges(slots),
  });
  await pool.start();
  pool.limitConnections(1);
  const spec = listener([chain('a', 'app')], { stats: base, addresses: [{ ip: '127.0.0.1', port: listening }] });
  const update = { clusters: [cluster('app', 0)], endpoints: [endpoints('app', port)], listeners: [spec] };
  await pool.update({ ...emptyUpdate, ...update });
  const { socket, ok } = await served(listening);
  t.true(ok);
  t.is(registry.sum(base + listenerStat.at.downstream_cx_active), 1);
  await workers[0]?.terminate();
  await until('closed', () => socket.closed);
  await until('the gauge is corrected', () => registry.sum(base + listenerStat.at.downstream_cx_active) === 0);
  t.is(registry.sum(base + listenerStat.at.downstream_cx_total), 1, 'counters stay');
  t.is(registry.sum(workerStatBase + workerStat.at.connections_active), 0);
  let answered = false;
  for (let i = 0; i < 400 && !answered; i++) {
    const next = await served(listening);
    answered = next.ok;
    next.socket.destroy();
    if (!answered) await delay(25);
  }
  t.true(answered, 'the limit does not count the dead');
  await pool.stop();
  process.off('worker', note);
  server.close();
});
