import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createCsr, createKeyPair } from '@chainmail/pki';
import { createCaSigner } from '@chainmail/xds/grpc';
import test from 'ava';
import { claimsOf, es256, issuer } from './test-tokens.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

function run(args: readonly string[], stdout: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
  return spawn(process.execPath, ['--no-warnings', main, ...args], { stdio: ['ignore', stdout, 'pipe'] });
}

async function output(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

/** The address of the line that says it is ready. */
async function readyAt(child: ChildProcess): Promise<string> {
  if (child.stderr === null) throw new Error('no stderr');
  for await (const line of createInterface({ input: child.stderr })) {
    const entry = JSON.parse(line) as { msg?: string; address?: string };
    if (entry.msg === 'ready' && entry.address !== undefined) return entry.address;
  }
  throw new Error('the CA ended before it was ready');
}

test('a wrong command line exits with 2 and says what to do, help with 0', async (t) => {
  const wrong = run(['--bogus']);
  const [text, [code]] = await Promise.all([output(wrong.stderr), once(wrong, 'exit')]);
  t.is(code, 2);
  t.regex(text, /bogus.*\n.*--help/s);
  const help = run(['--help'], 'pipe');
  const [usage, [ok]] = await Promise.all([output(help.stdout), once(help, 'exit')]);
  t.is(ok, 0);
  t.regex(usage, /--state-dir DIR/);
});

test('killed and started again it is the same CA; SIGTERM ends it with 0', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ca-main-'));
  const file = (name: string): string => path.join(dir, name);
  const keys = es256();
  fs.writeFileSync(file('jwks.json'), JSON.stringify({ keys: [keys.jwk] }));
  fs.writeFileSync(file('token'), keys.sign(claimsOf(Date.now())));
  const args = ['--state-dir', file('state'), '--listen', '127.0.0.1:0', '--attest-jwks', file('jwks.json')];
  args.push('--attest-issuer', issuer, '--bundle-file', file('bundle.pem'), '--default-ttl', '20s');
  let child = run(args);
  t.teardown(() => {
    child.kill('SIGKILL');
    fs.rmSync(dir, { recursive: true });
  });
  const csrPem = createCsr((await createKeyPair()).privateKey);
  const issue = (address: string) =>
    createCaSigner({
      address,
      trustDomain: 'cluster.local',
      trustBundle: { path: file('bundle.pem') },
      tokenPath: file('token'),
    }).sign({ csrPem });
  const before = await issue(await readyAt(child));
  const killed = once(child, 'exit');
  child.kill('SIGKILL');
  await killed;
  child = run(args);
  const after = await issue(await readyAt(child));
  t.deepEqual(after.trustAnchorsPem, before.trustAnchorsPem);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  t.is((await ended)[0], 0);
  const root = run(['root', 'show', '--state-dir', file('state')], 'pipe');
  const [shown] = await Promise.all([output(root.stdout), once(root, 'exit')]);
  t.regex(shown, /^trust domain cluster.local, bundle sequence 1\nactive/);
});
