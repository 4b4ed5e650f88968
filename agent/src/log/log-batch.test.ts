import test from 'ava';
import type { LogRecord } from '../http/request-view.ts';
import type { AccessLogSpec } from '../model/log.ts';
import { type LastingRecord, LogBatch } from './log-batch.ts';
import { record } from './testing/record.ts';

const sinks: readonly AccessLogSpec[] = [{ path: '/log', format: { kind: 'text', format: 'x' } }];

function make(write: (record: LogRecord) => void = () => undefined) {
  const told: string[] = [];
  const batch = new LogBatch({
    log: {
      write(_sinks, r) {
        write(r);
        told.push(`line ${r.details}`);
      },
      writeLine: (path, text) => void told.push(`${path} ${text}`),
      publish: () => void told.push('publish'),
    },
    onFault: (error) => told.push(String(error)),
  });
  const lasting = (details: string): LastingRecord => ({
    ...record({ details }),
    logged: () => void told.push(`logged ${details}`),
  });
  return { batch, told, lasting };
}

test('what waits is written at the end of the turn, and shown once', (t) => {
  const { batch, told, lasting } = make();
  batch.add(sinks, lasting('1'));
  batch.writeNow(sinks, record({ details: 'at once' }));
  batch.writeLine('/event', 'text');
  batch.add(sinks, lasting('2'));
  t.deepEqual(told, ['line at once', '/event text']);
  batch.flush();
  t.deepEqual(told.splice(0).slice(2), ['line 1', 'logged 1', 'line 2', 'logged 2', 'publish']);
  batch.flush();
  t.deepEqual(told, [], 'a turn without lines does nothing');
});

test('many are not kept: the first are written when the next comes', (t) => {
  const { batch, told, lasting } = make();
  for (let i = 0; i < 32; i++) batch.add(sinks, lasting(String(i)));
  t.deepEqual(told, []);
  batch.add(sinks, lasting('32'));
  t.is(told.length, 64);
  batch.flush();
  t.deepEqual(told.slice(-3), ['line 32', 'logged 32', 'publish']);
});

test('a line that throws costs itself only', (t) => {
  const { batch, told, lasting } = make(({ details }) => {
    if (details === 'bad') throw new Error('a bug');
  });
  for (const name of ['1', 'bad', '2']) batch.add(sinks, lasting(name));
  batch.flush();
  t.deepEqual(told, ['line 1', 'logged 1', 'Error: a bug', 'logged bad', 'line 2', 'logged 2', 'publish']);
});

test('a record that is added while others are told of their lines waits for its own turn', (t) => {
  const { batch, told, lasting } = make();
  const next = lasting('next');
  batch.add(sinks, { ...record({ details: 'first' }), logged: () => batch.add(sinks, next) });
  batch.flush();
  t.deepEqual(told.splice(0), ['line first', 'publish']);
  batch.flush();
  t.deepEqual(told, ['line next', 'logged next', 'publish']);
});
