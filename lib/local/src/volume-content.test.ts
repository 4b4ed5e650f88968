import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { NamedPod, Volume } from './pod.ts';
import { isSafePath, tokenLifeSeconds, type VolumeSources, volumeFiles } from './volume-content.ts';
import { writeVolume } from './volume-writer.ts';

const pod: NamedPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u-1', labels: { app: 'web' } },
  spec: { containers: [] },
};
const object = (kind: string, data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x' },
  data,
});
const sources: VolumeSources = {
  configMap: (ns, name) => (ns === 'shop' && name === 'conf' ? object('ConfigMap', { a: '1', b: '2' }) : undefined),
  secret: (_, name) => (name === 'key' ? object('Secret', { pem: 'c2VjcmV0' }) : undefined),
  token: (_, audience, seconds) => `token for ${audience} ${seconds}`,
  podIps: ['10.77.0.16'],
  hostIp: '10.77.0.1',
};
const texts = (v: Omit<Volume, 'name'>): Record<string, string> =>
  Object.fromEntries([...volumeFiles({ name: 'v', ...v }, pod, sources)].map(([k, f]) => [k, f.content.toString()]));

test('each kind of volume has its files', (t) => {
  t.deepEqual(texts({ configMap: { name: 'conf' } }), { a: '1', b: '2' });
  t.deepEqual(texts({ configMap: { name: 'conf', items: [{ key: 'b', path: 'x/y' }] } }), { 'x/y': '2' });
  t.deepEqual(texts({ secret: { secretName: 'key' } }), { pem: 'secret' });
  t.deepEqual(texts({ downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } }), {
    labels: 'app="web"',
  });
});

test('a projected volume joins its sources', (t) => {
  const projected = {
    sources: [
      { serviceAccountToken: { path: 'token', audience: 'chainmail-ca', expirationSeconds: 900 } },
      { configMap: { name: 'conf', items: [{ key: 'a', path: 'a' }] } },
      { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
    ],
  };
  t.deepEqual(texts({ projected }), { token: 'token for chainmail-ca 900', a: '1', name: 'web-1' });
  t.is(tokenLifeSeconds({ name: 'v', projected }), 900);
  t.is(tokenLifeSeconds({ name: 'v', configMap: { name: 'conf' } }), undefined);
});

test('missing sources are errors unless optional', (t) => {
  t.throws(() => texts({ configMap: { name: 'nope' } }), { message: 'ConfigMap nope not found' });
  t.deepEqual(texts({ configMap: { name: 'nope', optional: true } }), {});
  t.throws(() => texts({ configMap: { name: 'conf', items: [{ key: 'z', path: 'z' }] } }), { message: /has no key z/ });
});

test('no file leaves its volume', (t) => {
  for (const bad of ['', '/etc/passwd', '../x', 'a/../../x', 'a//b', './x']) t.false(isSafePath(bad), bad);
  t.throws(() => texts({ configMap: { name: 'conf', items: [{ key: 'a', path: '../a' }] } }), { message: /leaves/ });
});

test('an update replaces all files at once and drops what is gone', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'volume-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  const file = (text: string) => ({ content: Buffer.from(text), mode: 0o644, secret: false });
  const nobody = { uid: undefined, gid: undefined };
  writeVolume(
    dir,
    new Map([
      ['a', file('1')],
      ['d/b', file('2')],
    ]),
    nobody,
    'one',
  );
  t.is(fs.readFileSync(path.join(dir, 'a'), 'utf8'), '1');
  t.is(fs.readFileSync(path.join(dir, 'd/b'), 'utf8'), '2');
  const before = fs.readlinkSync(path.join(dir, '..data'));
  writeVolume(
    dir,
    new Map([
      ['a', file('1')],
      ['d/b', file('2')],
    ]),
    nobody,
    'two',
  );
  t.is(fs.readlinkSync(path.join(dir, '..data')), before, 'nothing changed, nothing is written');
  writeVolume(dir, new Map([['a', file('3')]]), nobody, 'three');
  t.is(fs.readFileSync(path.join(dir, 'a'), 'utf8'), '3');
  t.deepEqual(fs.readdirSync(dir).sort(), ['..data', '..three', 'a']);
});

test('a secret is for its one user only', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'volume-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  const uid = process.getuid?.() ?? 0;
  const token = { content: Buffer.from('t'), mode: 0o644, secret: true };
  writeVolume(dir, new Map([['token', token]]), { uid, gid: undefined }, 'one');
  t.is(fs.statSync(path.join(dir, 'token')).mode & 0o777, 0o600);
});
