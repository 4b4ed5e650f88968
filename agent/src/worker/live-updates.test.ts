import { spawn } from 'node:child_process';
import { once } from 'node:events';
import tls from 'node:tls';
import test from 'ava';
import { Client, catalog, echo, exchange, meshPair, Rig, serve, until, web } from './test-rig.ts';
import { anyMatch, chain, cluster, emptyUpdate, endpoints, listener, TestCa } from './testing.ts';

const ca = new TestCa();
test.after.always(() => ca.remove());

test('certificates rotate under load without a failed connection', async (t) => {
  const pair = await meshPair(ca);
  const long = new Client(pair.client.port);
  long.socket.write('first');
  await long.receive('first');
  const certificates = Array.from({ length: 6 }, () => [ca.leaf(`URI:${web}`), ca.leaf(`URI:${catalog}`)] as const);
  for (const [ours, theirs] of certificates) {
    const running = Array.from({ length: 10 }, (_, i) => exchange(pair.client.port, Buffer.from(`request ${i}`)));
    pair.client.apply({ secrets: [ours] });
    pair.server.apply({ secrets: [theirs] });
    for (const [i, { bytes, error }] of (await Promise.all(running)).entries()) {
      t.false(error);
      t.is(bytes.toString(), `request ${i}`);
    }
  }
  long.socket.write('last');
  await long.receive('last');
  t.is(pair.server.stat('ssl.connection_error'), 0);
  long.socket.destroy();
  pair.stop();
});

test('a secret that does not load leaves the last good one in use, and says so', async (t) => {
  const pair = await meshPair(ca);
  t.is((await exchange(pair.client.port, Buffer.from('a'))).bytes.toString(), 'a');
  pair.server.apply({ secrets: [{ name: 'default', kind: 'certificate', chainPem: 'junk', keyPem: 'junk' }] });
  t.is((await exchange(pair.client.port, Buffer.from('b'))).bytes.toString(), 'b');
  t.true(pair.server.reports.some((r) => r.includes('TLS context')));
  t.false(pair.server.reports.some((r) => r.includes('junk')));
  pair.stop();
});

test('without its secrets a chain refuses, and works as soon as they come', async (t) => {
  const pair = await meshPair(ca, { withoutSecrets: true });
  t.is((await exchange(pair.client.port, Buffer.from('a'))).bytes.length, 0);
  pair.server.apply({ secrets: [ca.trust, ca.leaf(`URI:${catalog}`)] });
  t.is((await exchange(pair.client.port, Buffer.from('b'))).bytes.toString(), 'b');
  pair.stop();
});

for (const [what, options, stat] of [
  ['no client certificate', {}, 'ssl.fail_verify_no_cert'],
  ['a self-signed certificate', 'self-signed', 'ssl.fail_verify_error'],
] as const) {
  test(`${what} is refused before a byte reaches the application`, async (t) => {
    const pair = await meshPair(ca);
    const own = new TestCa();
    const leaf = own.leaf(`URI:${web}`);
    const credentials = options === 'self-signed' ? { cert: leaf.chainPem, key: leaf.keyPem } : {};
    const socket = tls.connect({
      port: pair.server.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...credentials,
    });
    let alert = '';
    socket.on('error', (e: NodeJS.ErrnoException) => {
      alert = e.message;
    });
    socket.write('hello');
    let closed = false;
    socket.on('close', () => {
      closed = true;
    });
    await until('close', () => closed);
    t.regex(alert, options === 'self-signed' ? /unknown ca/i : /certificate required/i);
    t.is(pair.server.stat(stat), 1);
    t.is(pair.server.clusterStat(0, 'upstream_cx_total'), 0);
    own.remove();
    pair.stop();
  });
}

test('chains come, change and go; connections of chains that stay are not touched', async (t) => {
  const { server, port } = await serve(echo);
  const rig = new Rig();
  const base = { clusters: [cluster('app', 0)], endpoints: [endpoints('app', port)] };
  rig.apply({ ...base, listeners: [listener([chain('stays', 'app')])] });
  const before = rig.port;
  const kept = new Client(rig.port);
  kept.socket.write('1');
  await kept.receive('1');
  const other = chain('new', 'app', { match: { ...anyMatch, sourcePorts: [1] } });
  t.deepEqual(rig.apply({ listeners: [listener([chain('stays', 'app'), other])] }), []);
  t.is(rig.port, before, 'the socket stays');
  kept.socket.write('2');
  await kept.receive('2');
  rig.apply({ listeners: [listener([chain('changed', 'app')])] });
  kept.socket.write('3');
  await kept.receive('3');
  await until('the drain time', () => kept.closed || kept.ended);
  t.is((await exchange(rig.port, Buffer.from('next'))).bytes.toString(), 'next');
  kept.socket.destroy();
  rig.stop();
  server.close();
});

test('a bad update is told and leaves what was there', async (t) => {
  const { server, port } = await serve(echo);
  const rig = new Rig();
  rig.apply({
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('a', 'app')])],
  });
  const bad = chain('bad', 'app', { match: { ...anyMatch, prefixRanges: ['nonsense'] } });
  const errors = rig.apply({ listeners: [listener([bad])] });
  t.regex(errors[0] ?? '', /listener test: not a network: nonsense/);
  const taken = listener([chain('a', 'app')], { name: 'second', addresses: [{ ip: '192.0.2.1', port: 1 }] });
  t.regex(rig.apply({ ...emptyUpdate, listeners: [taken] })[0] ?? '', /bind 192.0.2.1:1/);
  t.is((await exchange(rig.port, Buffer.from('x'))).bytes.toString(), 'x');
  rig.stop();
  server.close();
});

test('out of descriptors: accepting pauses and goes on, nothing crashes', async (t) => {
  const { server, port } = await serve(echo);
  const script = new URL('./test-child.ts', import.meta.url).pathname;
  const child = spawn('sh', ['-c', `ulimit -n 64; exec "${process.execPath}" --no-warnings "${script}" ${port}`]);
  let output = '';
  let errors = '';
  child.stdout.on('data', (d: Buffer) => {
    output += d.toString();
  });
  child.stderr.on('data', (d: Buffer) => {
    errors += d.toString();
  });
  await until('the port', () => /port \d+\n/.test(output), 30_000).catch(() => t.fail(errors));
  const listening = Number(/port (\d+)/.exec(output)?.[1]);
  const clients = Array.from({ length: 60 }, () => new Client(listening));
  for (const c of clients) c.socket.write('hello');
  await until('exhaustion', () => output.includes('cannot accept'), 20_000);
  await until('some answers', () => clients.some((c) => c.received === 'hello'), 20_000);
  // Those that wait get their turn when others have gone.
  for (let i = 0; clients.some((c) => !c.closed) && i < 200_000; i++) {
    for (const c of clients) if (c.received === 'hello') c.socket.destroy();
    for (const c of clients) if (c.ended) c.socket.destroy();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const last = await exchange(listening, Buffer.from('still here'));
  t.is(last.bytes.toString(), 'still here');
  t.is(child.exitCode, null);
  child.kill('SIGKILL');
  await once(child, 'close');
  server.close();
});
