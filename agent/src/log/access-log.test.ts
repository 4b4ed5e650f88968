import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import type { AccessLogSpec } from '../model/log.ts';
import { slotCount, workerStat, workerStatBase } from '../stats/layout.ts';
import { type AccessLogWriter, createAccessLogWriter } from './access-log.ts';
import { AccessLogDrain } from './drain.ts';
import { createRing, maxLineBytes } from './ring.ts';
import { record } from './testing/record.ts';

const lines = workerStatBase + workerStat.at.access_log_lines;
const dropped = workerStatBase + workerStat.at.access_log_dropped;

function folder(t: { teardown(call: () => void): void }): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'access-log-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  return dir;
}

function make(ringBytes?: number) {
  const clock = new ManualClock();
  const failures: string[] = [];
  const drain = new AccessLogDrain(clock, { onFailure: (file, error) => failures.push(`${file}: ${error.message}`) });
  const ring = createRing(ringBytes);
  drain.attach(ring);
  const slots = new Float64Array(32);
  const writer = createAccessLogWriter(ring, slots);
  const published: AccessLogWriter = {
    write(specs, line) {
      writer.write(specs, line);
      writer.publish();
    },
    writeLine(file, text) {
      writer.writeLine(file, text);
      writer.publish();
    },
    publish: () => undefined,
  };
  return { clock, failures, drain, ring, slots, writer: published };
}

const sink = (file: string, format = '%REQ(:PATH)%\n'): AccessLogSpec => ({
  path: file,
  format: { kind: 'text', format },
});
const at = (p: string) => record({ http: { path: p } });

test('lines reach their files, each sink its own', async (t) => {
  const dir = folder(t);
  const [a, b] = [path.join(dir, 'a'), path.join(dir, 'b')];
  const { drain, writer, slots } = make();
  const both = [sink(a), sink(b, 'b %RESPONSE_CODE%\n')];
  writer.write(both, at('/1'));
  writer.write([sink(a, 'again %REQ(:PATH)%\n')], at('/2'));
  await drain.close();
  t.is(fs.readFileSync(a, 'utf8'), '/1\nagain /2\n');
  t.is(fs.readFileSync(b, 'utf8'), 'b 200\n');
  t.is(slots[lines], 3);
  t.is(slots[dropped], 0);
});

test('what another thread is told to write in one turn, paths and lines, is taken in one piece', async (t) => {
  const dir = folder(t);
  const [a, b] = [path.join(dir, 'a'), path.join(dir, 'b')];
  const { drain, ring, slots } = make();
  const writer = createAccessLogWriter(ring, slots);
  writer.writeLine(a, 'a1\n');
  writer.write([sink(b)], at('/b1'));
  writer.write([sink(b), sink(a)], at('/2'));
  writer.write([sink(a)], at('/3'));
  await drain.flush();
  t.is(fs.readFileSync(a, 'utf8'), 'a1\n', 'a run ends where the next begins');
  writer.publish();
  await drain.close();
  t.is(fs.readFileSync(a, 'utf8'), 'a1\n/2\n/3\n');
  t.is(fs.readFileSync(b, 'utf8'), '/b1\n/2\n');
});

test('the drain works by the clock', async (t) => {
  const file = path.join(folder(t), 'a');
  const { clock, drain, writer } = make();
  writer.write([sink(file)], at('/1'));
  clock.advance(1000);
  await drain.flush();
  t.is(fs.readFileSync(file, 'utf8'), '/1\n');
  await drain.close();
  t.is(clock.pending, 0);
});

test('a full ring drops and counts, and recovers', async (t) => {
  const file = path.join(folder(t), 'a');
  const { drain, writer, slots } = make(4 * maxLineBytes);
  const specs = [sink(file)];
  const long = at(`/${'x'.repeat(1000)}`);
  for (let i = 0; i < 500; i++) writer.write(specs, long);
  const kept = slots[lines] ?? 0;
  t.is(kept + (slots[dropped] ?? 0), 500);
  t.true(kept > 80 && kept < 150, String(kept));
  await drain.flush();
  writer.write(specs, at('/end'));
  await drain.close();
  const read = fs.readFileSync(file, 'utf8').split('\n');
  t.is(read.length, kept + 2);
  t.is(read.at(-2), '/end');
});

test('a line that is too long is written with its values cut, still valid', async (t) => {
  const file = path.join(folder(t), 'a');
  const { drain, writer } = make();
  const fields = { ua: '%REQ(USER-AGENT)%', path: '%REQ(:PATH)%', code: '%RESPONSE_CODE%' };
  const spec: AccessLogSpec = { path: file, format: { kind: 'json', fields, omitEmpty: false } };
  writer.write([spec], record({ http: { path: '/p', headers: [['user-agent', '\u0001'.repeat(60_000)]] } }));
  await drain.close();
  t.deepEqual(JSON.parse(fs.readFileSync(file, 'utf8')), { ua: '\u0001'.repeat(128), path: '/p', code: 200 });
});

test('reopen: after a rotation lines go to the new file', async (t) => {
  const file = path.join(folder(t), 'a');
  const { drain, writer } = make();
  const specs = [sink(file)];
  writer.write(specs, at('/1'));
  await drain.flush();
  fs.renameSync(file, `${file}.1`);
  writer.write(specs, at('/2'));
  await drain.flush();
  drain.reopen();
  writer.write(specs, at('/3'));
  await drain.close();
  t.is(fs.readFileSync(`${file}.1`, 'utf8'), '/1\n/2\n');
  t.is(fs.readFileSync(file, 'utf8'), '/3\n');
});

test('a file that cannot be opened is told once, its lines are dropped and counted, others go on', async (t) => {
  const dir = folder(t);
  const [bad, good] = [path.join(dir, 'none', 'a'), path.join(dir, 'b')];
  const { drain, writer, failures } = make();
  const specs = [sink(bad), sink(good)];
  for (const p of ['/1', '/2', '/3']) {
    writer.write(specs, at(p));
    await drain.flush();
  }
  await drain.close();
  t.is(failures.length, 1);
  t.regex(failures[0] ?? '', /ENOENT/);
  t.is(drain.dropped, 3);
  t.is(fs.readFileSync(good, 'utf8'), '/1\n/2\n/3\n');
});

test('an existing log is appended to', async (t) => {
  const file = path.join(folder(t), 'a');
  fs.writeFileSync(file, 'old\n');
  const { drain, writer } = make();
  writer.write([sink(file)], at('/1'));
  await drain.close();
  t.is(fs.readFileSync(file, 'utf8'), 'old\n/1\n');
});

test('a worker writes while the main thread reads: every line whole and in order', async (t) => {
  const file = path.join(folder(t), 'a');
  const { drain, ring } = make(4 * maxLineBytes);
  const shared = new SharedArrayBuffer(32 * 8);
  const total = 20_000;
  const script = `
    const { workerData } = require('node:worker_threads');
    (async () => {
      const { createAccessLogWriter } = await import(workerData.log);
      const { record } = await import(workerData.record);
      const slots = new Float64Array(workerData.shared);
      const writer = createAccessLogWriter(workerData.ring, slots);
      const specs = [{ path: workerData.file, format: { kind: 'text', format: '%REQ(:PATH)%\\n' } }];
      for (let n = 0; n < workerData.total;) {
        const before = slots[workerData.lines];
        writer.write(specs, record({ http: { path: '/' + n + '-' + 'x'.repeat(n % 500) } }));
        if (slots[workerData.lines] > before) n++;
        if (n % 7 === 0) writer.publish();
      }
      writer.publish();
    })();`;
  const worker = new Worker(script, {
    eval: true,
    workerData: {
      ring,
      shared,
      file,
      total,
      lines,
      log: new URL('./access-log.ts', import.meta.url).href,
      record: new URL('./testing/record.ts', import.meta.url).href,
    },
  });
  let running = true;
  worker.once('exit', () => {
    running = false;
  });
  while (running) await drain.flush().then(() => new Promise((resolve) => setImmediate(resolve)));
  await drain.close();
  const read = fs.readFileSync(file, 'utf8').split('\n');
  t.is(read.length, total + 1);
  t.is(
    read.findIndex((line, n) => n < total && line !== `/${n}-${'x'.repeat(n % 500)}`),
    -1,
  );
});

test("the worker's block fits in front of the others", (t) => {
  t.true(workerStatBase + workerStat.layout.slots.length < slotCount);
});

test('a line that is no record goes to its path like any other', async (t) => {
  const dir = folder(t);
  const [a, b] = [path.join(dir, 'a'), path.join(dir, 'b')];
  const { drain, writer, slots } = make();
  writer.writeLine(a, '{"x":1}\n');
  writer.write([sink(a)], at('/1'));
  writer.writeLine(b, 'b\n');
  await drain.close();
  t.is(fs.readFileSync(a, 'utf8'), '{"x":1}\n/1\n');
  t.is(fs.readFileSync(b, 'utf8'), 'b\n');
  t.is(slots[lines], 3);
  writer.writeLine(a, 'x'.repeat(maxLineBytes + 1));
  t.is(slots[dropped], 1);
});
