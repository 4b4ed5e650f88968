import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { silentLogger } from '@chainmail/runtime';
import test from 'ava';
import { workerStat, workerStatBase } from '../stats/layout.ts';
import { WorkerPool } from './pool.ts';
import { echo, exchange, serve, until } from './test-rig.ts';
import { chain, cluster, emptyUpdate, endpoints, listener } from './testing.ts';

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
