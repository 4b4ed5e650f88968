import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import type { DataObject, NamedPod } from './pod.ts';
import { PodVolumes } from './pod-volumes.ts';

const pod: NamedPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u-1' },
  spec: {
    containers: [{ name: 'a', volumeMounts: [{ name: 'token', mountPath: '/t' }] }],
    volumes: [
      { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 1000 } }] } },
      { name: 'conf', configMap: { name: 'conf' } },
    ],
  },
};

function volumes(): {
  dir: string;
  clock: ManualClock;
  conf: { now: DataObject | undefined };
  problems: string[];
  made: PodVolumes;
} {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pod-volumes-'));
  const clock = new ManualClock(1000);
  const conf: { now: DataObject | undefined } = { now: undefined };
  const problems: string[] = [];
  let minted = 0;
  const made = new PodVolumes({
    pod,
    dir,
    clock,
    onProblem: (text) => problems.push(text),
    sources: {
      configMap: () => conf.now,
      secret: () => undefined,
      token: () => `token ${++minted}`,
      podIps: [],
      hostIp: '',
    },
  });
  return { dir, clock, conf, problems, made };
}

const configMap = (value: string): DataObject => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'conf' } },
  data: { k: value },
});

test('a token is rewritten at four fifths of its life, not before', async (t) => {
  const { dir, clock, conf, made } = volumes();
  conf.now = configMap('1');
  await made.create();
  const token = (): string => fs.readFileSync(path.join(dir, 'token/token'), 'utf8');
  t.is(token(), 'token 1');
  made.refresh();
  clock.advance(799_000);
  t.is(token(), 'token 1', 'looking at the other volumes mints nothing');
  clock.advance(2_000);
  t.is(token(), 'token 2');
  clock.advance(800_000);
  t.is(token(), 'token 3');
  await made.remove();
  t.false(fs.existsSync(dir));
  t.is(clock.pending, 0);
});

test('a missing source holds the pod back, one that vanishes later leaves the files', async (t) => {
  const { dir, conf, problems, made } = volumes();
  await t.throwsAsync(made.create(), { message: 'ConfigMap conf not found' });
  conf.now = configMap('1');
  await made.create();
  conf.now = undefined;
  made.refresh();
  t.deepEqual(problems, ['volume conf: ConfigMap conf not found']);
  t.is(fs.readFileSync(path.join(dir, 'conf/k'), 'utf8'), '1');
  await made.remove();
});
