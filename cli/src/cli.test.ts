import fs from 'node:fs';
import type { DevPod, DevStatus } from '@chainmail/local';
import { UserError } from '@chainmail/runtime';
import { Parser } from '@oclif/core';
import test from 'ava';
import { commands } from './commands.ts';
import { Progress } from './dev-progress.ts';
import { age, statusTable } from './dev-status-table.ts';
import { failureText } from './failure.ts';
import { durationFlag, parseDuration } from './flags.ts';
import { inFile } from './manifest-command.ts';
import { render } from './output/render.ts';
import { renderTable } from './output/table.ts';
import { findPod } from './pod-reference.ts';

const pod = (name: string, over: Partial<DevPod> = {}): DevPod => ({
  ...{
    namespace: 'shop',
    name,
    phase: 'Running',
    ready: true,
    readyContainers: 1,
    containers: 1,
    unready: [],
    restarts: 0,
  },
  ...{ ips: ['10.77.0.16'], serviceAccount: 'default', labels: {}, containerNames: ['web'], terminating: false },
  createdAt: '2026-01-01T00:00:00Z',
  ...over,
});
const status = (over: Partial<DevStatus> = {}): DevStatus => ({
  ...{ name: 'dev', phase: 'running' as const, pid: 1, dirs: ['/app'], runDir: '', nodeNetns: '', bridge: '' },
  ...{ meshed: true, components: [], pods: [], services: [], problems: [] },
  ...over,
});

test('columns line up, numbers at the right, no trailing blanks', (t) => {
  const table = renderTable(
    [
      { a: 'long name', n: 5 },
      { a: 'x', n: 1000 },
    ],
    [
      { title: 'NAME', value: (r) => r.a },
      { title: 'N', value: (r) => String(r.n), right: true },
    ],
  );
  t.is(table, 'NAME           N\nlong name      5\nx           1000');
});

test('one result in three formats', (t) => {
  const table = (): string => 'T';
  t.is(render({ a: 1 }, 'table', table), 'T');
  t.deepEqual(JSON.parse(render({ a: 1 }, 'json', table)), { a: 1 });
  t.is(render({ a: 1 }, 'yaml', table), 'a: 1');
});

test('durations need a unit', (t) => {
  t.is(parseDuration('60s'), 60_000);
  t.is(parseDuration('1.5h'), 5_400_000);
  t.is(parseDuration('250ms'), 250);
  for (const bad of ['60', '', 's', '-1s', '1w']) t.is(parseDuration(bad), undefined, bad);
});

test('a pod is found by name, namespace/name and Deployment, the ready one first', (t) => {
  const pods = [
    pod('web-0123456789-aaaaa', { ready: false }),
    pod('web-0123456789-bbbbb'),
    pod('web-admin-0123456789-ccccc'),
    pod('web', { namespace: 'other' }),
  ];
  t.is(findPod(pods, 'web', 'shop').name, 'web-0123456789-bbbbb');
  t.is(findPod(pods, 'other/web', undefined).namespace, 'other');
  t.is(findPod(pods, 'web-admin', undefined).name, 'web-admin-0123456789-ccccc');
  t.throws(() => findPod(pods, 'web', undefined), { code: 'POD_AMBIGUOUS' });
  t.throws(() => findPod(pods, 'nope', undefined), { code: 'POD_NOT_FOUND' });
});

test('progress tells changes only', (t) => {
  const progress = new Progress();
  const starting = pod('web', { ready: false });
  t.deepEqual(progress.lines(status({ pods: [starting] })), ['pod shop/web: starting']);
  t.deepEqual(progress.lines(status({ pods: [starting] })), []);
  t.deepEqual(progress.lines(status({ pods: [pod('web', { restarts: 1 })] })), [
    'pod shop/web: ready',
    'pod shop/web: restarted 1x',
  ]);
  t.deepEqual(progress.lines(status()), ['pod shop/web: gone']);
});

test('the status table shows trouble of pods that are not ready, and problems of files', (t) => {
  const text = statusTable(
    status({
      pods: [pod('web', { ready: false, readyContainers: 0, trouble: 'container web: CrashLoopBackOff: exit code 1' })],
      problems: [{ origin: { file: '/app/a.yaml', line: 3 }, reason: 'not YAML' }],
    }),
    Date.parse('2026-01-01T00:05:00Z'),
  );
  t.regex(text, /shop +web +0\/1 +Running +0 +5m +10\.77\.0\.16 +container web: CrashLoopBackOff: exit code 1/);
  t.true(text.endsWith('/app/a.yaml:3: not YAML'));
});

test('ages use the largest unit', (t) => {
  const now = Date.parse('2026-01-10T00:00:00Z');
  t.is(age('2026-01-09T23:59:30Z', now), '30s');
  t.is(age('2026-01-09T23:50:00Z', now), '10m');
  t.is(age('2026-01-09T10:00:00Z', now), '14h');
  t.is(age('2026-01-01T00:00:00Z', now), '9d');
  t.is(age('', now), '-');
});

test('failures say what and what to do', (t) => {
  t.is(failureText(new UserError('X', 'no root', { hint: 'sudo' })), 'meshctl: no root [X]\n  sudo');
  t.is(failureText(Object.assign(new Error('bad flag'), { oclif: { exit: 2 } })), 'meshctl: bad flag');
  t.is(failureText(Object.assign(new Error('EEXIT: 0'), { code: 'EEXIT', oclif: { exit: 0 } })), undefined);
});

test('a file that cannot be opened is a message, a bug is a stack', (t) => {
  const error = t.throws(() => fs.readFileSync('/nowhere/at/all'));
  t.is(failureText(error), "meshctl: ENOENT: no such file or directory, open '/nowhere/at/all'");
  t.regex(failureText(new Error('bug')) ?? '', /\n +at /);
});

test('a bad duration is misuse, and a window that would hammer the agents is refused', async (t) => {
  const parse = (value: string): Promise<unknown> =>
    Parser.parse(['--window', value], { flags: { window: durationFlag({ min: 200 }) } });
  await t.throwsAsync(parse('5'), { message: /'5' is not a duration/ });
  await t.throwsAsync(parse('0s'), { message: /0s is too short; the least is 200ms/ });
  await t.notThrowsAsync(parse('200ms'));
});

test('a mistake in a manifest is told with its file', (t) => {
  const bad = (): never => {
    throw new UserError('MANIFEST_INVALID', 'line 2: no');
  };
  t.throws(() => inFile('a.yaml', bad), { message: 'a.yaml: line 2: no', code: 'MANIFEST_INVALID' });
  t.throws(() => inFile('-', bad), { message: 'stdin: line 2: no' });
});

test('every command has a description', (t) => {
  for (const [name, command] of Object.entries(commands)) t.truthy(command.description, name);
});
