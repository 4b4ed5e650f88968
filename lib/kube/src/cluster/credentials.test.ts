import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { Credentials } from './credentials.ts';

const config = (name: string, current: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server: `https://${name}.example` } },
      { name: 'both', cluster: { server: `https://both-of-${name}.example` } },
    ],
    users: [{ name, user: { token: name } }],
    contexts: [
      { name, context: { cluster: name, user: name } },
      { name: 'both', context: { cluster: 'both', user: name } },
    ],
    'current-context': current,
  });

function folder(t: { teardown(undo: () => void): void }): (name: string, text: string) => string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-kubeconfig-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  return (name, text) => {
    fs.writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
}

test('one file: its current context, or the one that is asked for', (t) => {
  const file = folder(t)('one', config('a', 'a'));
  t.is(new Credentials({ kubeconfig: file }).server, 'https://a.example');
  t.is(new Credentials({ kubeconfig: file, context: 'both' }).server, 'https://both-of-a.example');
  t.throws(() => new Credentials({ kubeconfig: file, context: 'x' }), {
    code: 'KUBE_CREDENTIALS',
    message: /x names no cluster/,
  });
});

test('several files: those that are there, the first of one name, the first current context', (t) => {
  const write = folder(t);
  const list = [write('one', config('a', '')), '/nowhere', write('two', config('b', 'b'))].join(path.delimiter);
  t.is(new Credentials({ kubeconfig: list }).server, 'https://b.example');
  t.is(new Credentials({ kubeconfig: list, context: 'a' }).server, 'https://a.example');
  t.is(new Credentials({ kubeconfig: list, context: 'both' }).server, 'https://both-of-a.example');
});

test('a file that is not there, or none, is told', (t) => {
  t.throws(() => new Credentials({ kubeconfig: '/nowhere' }), {
    message: /cannot use the kubeconfig \/nowhere: ENOENT/,
  });
  const broken = folder(t)('broken', '{');
  t.throws(() => new Credentials({ kubeconfig: broken }), { code: 'KUBE_CREDENTIALS' });
  const list = ['/nowhere', '/neither'].join(path.delimiter);
  t.throws(() => new Credentials({ kubeconfig: list }), { message: /\/nowhere: ENOENT/ });
});
