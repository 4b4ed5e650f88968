/** manifests/demo, as it is: the shop sells over mutual TLS, and the intruder gets nothing. */
import path from 'node:path';
import test from 'ava';
import { connect, kinds } from './cluster.ts';
import { installed } from './mesh.ts';

const cluster = connect();
const manifests = path.resolve(import.meta.dirname, '../../manifests/demo');
const namespaces = ['shop', 'outside'];

test.before(async () => {
  await installed(cluster);
  const { code, stderr } = await cluster.kubectl(['apply', '-f', manifests]);
  if (code !== 0) throw new Error(stderr);
  await Promise.all(
    ['web', 'catalog', 'inventory-v1', 'inventory-v2', 'load'].map((name) => cluster.available('shop', name, 120_000)),
  );
  await cluster.available('outside', 'intruder');
});
test.after.always(async () => {
  for (const name of namespaces) await cluster.api.remove(kinds.Namespace, undefined, name);
  // Another file that has them as well can make them only once they are gone.
  for (const name of namespaces) await cluster.api.until(kinds.Namespace, undefined, name, (o) => o === undefined);
});

const node = (script: string) => ['node', '-e', `(async () => { ${script} })().then(() => process.exit(0))`];

async function podOf(namespace: string, app: string): Promise<string> {
  const [pod] = await cluster.pods(namespace, { app });
  return pod?.metadata.name ?? '';
}

interface Totals {
  readonly sent: number;
  readonly succeeded: number;
  readonly failed: number;
}

async function totals(): Promise<Totals> {
  const script = node("console.log(await (await fetch('http://127.0.0.1:8080/totals')).text())");
  const { stdout } = await cluster.exec('shop', await podOf('shop', 'load'), 'load', script);
  return JSON.parse(stdout);
}

/**
 * Until so many more customers were served, or in a row. Whoever is asked before its own upstreams are up answers 502, and is
 * ejected for a while: 30 s each time.
 */
async function served(n: number, inARow: boolean): Promise<void> {
  const loaded = node(`
    const ask = async () => await (await fetch('http://127.0.0.1:8080/totals')).json();
    let begin = await ask();
    for (let now = begin; now.succeeded < begin.succeeded + ${n}; now = await ask()) {
      if (${inARow} && now.failed > begin.failed) begin = now;
      await new Promise((r) => setTimeout(r, 100));
    }`);
  await cluster.exec('shop', await podOf('shop', 'load'), 'load', loaded);
}

test('customers are served without a failure', async (t) => {
  await served(100, true);
  const before = await totals();
  await served(200, false);
  const after = await totals();
  t.true(after.succeeded - before.succeeded >= 200);
  t.is(after.failed, before.failed);
});

test('the catalog may be read by web and written by nobody', async (t) => {
  const script = node("console.log(await (await fetch('http://127.0.0.1:8080/admin/add')).text())");
  const { stdout } = await cluster.exec('shop', await podOf('shop', 'web'), 'web', script);
  t.is(JSON.parse(stdout).catalogSaid, 403);
});

test('the intruder gets nothing, in the clear or with a forged identity', async (t) => {
  const from = await podOf('outside', 'intruder');
  const probe = node(`
    const net = require('node:net');
    const socket = net.connect(8080, 'catalog.shop');
    let got = '';
    socket.on('data', (d) => (got += d)).on('error', () => {}).write('GET /items HTTP/1.1\\r\\nhost: catalog\\r\\n\\r\\n');
    await new Promise((r) => socket.on('close', r));
    console.log('got:' + got);`);
  const { stdout } = await cluster.exec('outside', from, 'intruder', probe);
  t.is(stdout.trim(), 'got:');
});
