/** What the agent's bundle is made of: memory of the agent is paid in every pod. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
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

test('a worker loads no logger, no protobuf and no server of Node', async (t) => {
  const inputs = await inputsOf(['agent/src/worker/worker-entry.ts']);
  t.true(inputs.length > 100, 'the worker was looked at');
  t.deepEqual(
    inputs.map(([file]) => file).filter((file) => /\/(pino|@bufbuild|yaml)\//.test(file)),
    [],
  );
  const servers = ['node:http', 'node:https', 'node:tls', 'node:dgram', 'node:child_process'];
  t.deepEqual(
    inputs.filter(([, { imports }]) => imports.some((i) => servers.includes(i.path))).map(([file]) => file),
    [],
  );
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
