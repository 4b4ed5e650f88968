/** What the agent's bundle is made of: memory of the agent is paid in every pod. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';

const root = path.resolve(import.meta.dirname, '..');

interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<{ metafile: { inputs: Record<string, unknown> } }>;
}

/** The files that entries are made of, with what each imports. */
async function inputsOf(entries: readonly string[]): Promise<[string, { imports: { path: string }[] }][]> {
  const esbuild = createRequire(path.join(root, 'package.json'))('esbuild') as Esbuild;
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: 'unused',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  return Object.entries(metafile.inputs) as [string, { imports: { path: string }[] }][];
}

test('the agent speaks gRPC on its own HTTP/2 engine: neither grpc-js nor node:http2 is in its bundle', async (t) => {
  const inputs = await inputsOf(['agent/src/main.ts', 'agent/src/worker/worker-entry.ts']);
  t.true(inputs.length > 200, 'the bundle was looked at');
  t.deepEqual(
    inputs.map(([file]) => file).filter((file) => file.includes('@grpc/')),
    [],
  );
  t.deepEqual(
    inputs.filter(([, { imports }]) => imports.some((i) => i.path === 'node:http2' || i.path === 'http2')),
    [],
  );
});

test('a worker loads no logger, no protobuf, no server of Node, and not its crypto', async (t) => {
  const inputs = await inputsOf(['agent/src/worker/worker-entry.ts']);
  t.true(inputs.length > 100, 'the worker was looked at');
  t.deepEqual(
    inputs.map(([file]) => file).filter((file) => /\/(pino|@bufbuild|yaml)\//.test(file)),
    [],
  );
  const costly = ['http', 'https', 'net', 'tls', 'dgram', 'crypto', 'child_process'].map((name) => `node:${name}`);
  t.deepEqual(
    inputs.filter(([, { imports }]) => imports.some((i) => costly.includes(i.path))).map(([file]) => file),
    [],
  );
});

test('no descriptor of protobuf stays in an agent: what has some loads late', (t) => {
  const code = fs.readFileSync(path.join(bundleOfAgent(), 'main.code'), 'latin1');
  t.regex(code, /messageNamed/, 'the bundle was looked at');
  t.notRegex(code, /(boot|fileDesc|fileOf)\(["{]/);
  const late = fs.readFileSync(path.join(bundleOfAgent(), 'late-protobuf.cjs'), 'latin1');
  t.regex(late, /fileDesc\("/);
  t.notRegex(late, /boot\(\{/, 'nor are there descriptors of descriptors, which took a tenth of a start');
});

test("the agent's Node does not read its own store of certificates when TLS is loaded", async (t) => {
  const { PROGRAMS } = (await import(path.join(root, 'scripts/bundle.mjs'))) as {
    PROGRAMS: Record<string, { nodeFlags: readonly string[] }>;
  };
  const saidOf = (flags: readonly string[]): string => {
    const env = { ...process.env, NODE_DEBUG_NATIVE: 'CRYPTO' };
    return spawnSync(process.execPath, [...flags, '-e', "require('node:tls')"], { env, encoding: 'utf8' }).stderr;
  };
  t.regex(saidOf([]), /bundled root certificates/);
  t.notRegex(saidOf(PROGRAMS['chainmail-agent']?.nodeFlags ?? []), /root certificates/);
});

interface Manifests {
  readManifest(root: string, name: string): { dir: string } | null;
  bundleHome(root: string): string;
}

const { readManifest, bundleHome } = createRequire(import.meta.url)('./bundle-manifest.cjs') as Manifests;

function bundleOfAgent(): string {
  return path.join(bundleHome(root), readManifest(root, 'chainmail-agent')?.dir ?? 'there is none: npm run setup');
}

/** As load-bundle.cjs, and says whether V8 took the code that it was given. */
const sayingLoader = `const { compile, run } = require('./load-as-ever.js');
exports.compile = (dir, name) => {
  const script = compile(dir, name);
  require('node:fs').writeFileSync(dir + '/' + name + '.said', String(script.cachedDataRejected));
  return script;
};
exports.run = run;
`;

test('an agent starts with the code of its rehearsal, in both kinds of threads', async (t) => {
  const { PROGRAMS } = (await import(path.join(root, 'scripts/bundle.mjs'))) as {
    PROGRAMS: Record<string, { nodeFlags: readonly string[] }>;
  };
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bundle-test-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  fs.cpSync(bundleOfAgent(), dir, { recursive: true });
  fs.renameSync(path.join(dir, 'load.js'), path.join(dir, 'load-as-ever.js'));
  fs.writeFileSync(path.join(dir, 'load.js'), sayingLoader);
  const flags = PROGRAMS['chainmail-agent']?.nodeFlags ?? [];
  const bootstrap = path.join(dir, 'bootstrap.json');
  fs.writeFileSync(bootstrap, `{"admin":{"address":{"pipe":{"path":"${dir}/admin.sock"}}}}`);
  const agent = spawn(process.execPath, [...flags, path.join(dir, 'main.js'), '-c', bootstrap, '--concurrency', '1']);
  t.teardown(() => agent.kill('SIGKILL'));
  const said = (name: string): string => fs.readFileSync(path.join(dir, `${name}.said`), 'utf8');
  for await (const text of agent.stderr) if (String(text).includes(`"msg":"started"`)) break;
  t.is(said('main'), 'false');
  t.is(said('worker-entry'), 'false');
});

test('a script of the bundle loads nothing by import(), which it could not', (t) => {
  for (const name of ['main', 'worker-entry']) {
    const code = fs.readFileSync(path.join(bundleOfAgent(), `${name}.code`), 'latin1');
    t.true(code.startsWith('(function(require,__filename,__dirname){"use strict";'), name);
    t.notRegex(code, /[^.\w]import\(/, name);
  }
});
