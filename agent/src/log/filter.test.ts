/** Which records a log takes. */
import test from 'ava';
import type { LogFilterSpec } from '../model/log.ts';
import { compileLogFilter } from './filter.ts';
import { record } from './testing/record.ts';

const keeps = (spec: LogFilterSpec, of: Parameters<typeof record>[0] = {}, random = 0.5): boolean =>
  compileLogFilter(spec, () => random)(record(of));

test('status and duration are compared', (t) => {
  t.true(keeps({ kind: 'status', op: 'ge', value: 500 }, { status: 503 }));
  t.false(keeps({ kind: 'status', op: 'ge', value: 500 }, { status: 404 }));
  t.true(keeps({ kind: 'status', op: 'ne', value: 200 }, { status: 0 }));
  t.true(keeps({ kind: 'duration', op: 'le', value: 10 }, { durationMs: 10 }));
  t.false(keeps({ kind: 'duration', op: 'eq', value: 10 }, { durationMs: 11 }));
});

test('flags: one of those named, or any', (t) => {
  t.true(keeps({ kind: 'flags', flags: ['UF', 'UH'] }, { flags: 'URX,UF' }));
  t.false(keeps({ kind: 'flags', flags: ['UF'] }, { flags: 'UT' }));
  t.true(keeps({ kind: 'flags', flags: [] }, { flags: 'UT' }));
  t.false(keeps({ kind: 'flags', flags: [] }, { flags: '' }));
});

test('headers of the request; a connection without requests has none', (t) => {
  const header = {
    name: ':method',
    match: { kind: 'present', present: true },
    invert: false,
    treatMissingAsEmpty: false,
  } as const;
  t.true(keeps({ kind: 'header', header }));
  t.false(keeps({ kind: 'header', header }, { http: null }));
});

test('a share, and combinations', (t) => {
  t.true(keeps({ kind: 'sampled', share: 0.6 }));
  t.false(keeps({ kind: 'sampled', share: 0.5 }));
  const yes: LogFilterSpec = { kind: 'sampled', share: 1 };
  const no: LogFilterSpec = { kind: 'sampled', share: 0 };
  t.false(keeps({ kind: 'and', of: [yes, no] }));
  t.true(keeps({ kind: 'or', of: [no, yes] }));
  t.true(keeps({ kind: 'and', of: [] }));
});
