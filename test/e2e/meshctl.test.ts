/** meshctl's contract on a local mesh. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { type LocalMesh, startLocalMesh, waitUntilReady } from '@chainmail/local';
import test from 'ava';
import { meshctlContract, type Said } from '../meshctl/contract.ts';

const root = path.resolve(import.meta.dirname, '../..');
const name = `e2e-meshctl-${process.pid}`;
let mesh: LocalMesh | undefined;

test.before(async () => {
  mesh = await startLocalMesh({ dirs: [path.join(root, 'manifests/demo')], name });
  await waitUntilReady(mesh.client, 120_000);
});
test.after.always(() => mesh?.stop());

function meshctl(args: readonly string[]): Promise<Said> {
  const bin = path.join(root, 'node_modules/.bin/meshctl');
  return new Promise((resolve) => {
    const child = spawn(bin, [...args, '--name', name], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (d: string) => (stdout += d));
    child.stderr.setEncoding('utf8').on('data', (d: string) => (stderr += d));
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

meshctlContract(test, () => ({ meshctl, plainPod: 'outside/intruder' }));
