import { Writable } from 'node:stream';
import test from 'ava';
import { createLogger } from './logger.ts';

test('a line carries component, level as a word and time, and no secret', (t) => {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const log = createLogger({ component: 'ca', sink });
  log.warn({ token: 'eyJ0', request: { authorization: 'Bearer eyJ0' }, pod: 'web' }, 'refused');
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  t.is(line['component'], 'ca');
  t.is(line['level'], 'warn');
  t.is(line['msg'], 'refused');
  t.is(line['pod'], 'web');
  t.regex(String(line['time']), /^\d{4}-\d\d-\d\dT/);
  t.false(lines.join('').includes('eyJ0'));
});
