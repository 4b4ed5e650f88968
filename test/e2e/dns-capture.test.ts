/**
 * DNS capture in a real mesh: what a pod asks its resolver goes to its agent, over UDP and TCP; names of the mesh are
 * answered there, the others by the cluster's resolver; pods without the annotation are left alone.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type LocalMesh, startLocalMesh, stopLocalMesh, waitUntilReady } from '@chainmail/local';
import test from 'ava';
import { base, web } from './local/plain-pods.ts';

const name = `e2e-dns-${process.pid}`;
const readyMs = 60_000;
/** What control says, and no other resolver here. */
const meshTtl = 30;
const labelled = base.replace('{ name: shop }', '{ name: shop, labels: { chainmail.dev/inject: enabled } }');

/** Asks as the C library and as a stub resolver do, and over TCP by hand. */
const asker = `
const dns = require('node:dns'), net = require('node:net');
const resolver = new dns.promises.Resolver({ timeout: 3000, tries: 1 });
const settled = (p) => p.then((v) => v, (e) => e.code);
function overTcp(name) {
  const labels = name.split('.').map((l) => Buffer.from([l.length, ...Buffer.from(l)]));
  const query = Buffer.concat([Buffer.from([0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  return new Promise((done, fail) => {
    const socket = net.connect(53, dns.getServers()[0]);
    socket.on('error', fail);
    socket.on('connect', () => socket.write(Buffer.concat([Buffer.from([0, query.length]), query])));
    socket.on('data', (b) => { socket.destroy(); done(b.subarray(b.length - 4).join('.')); });
  });
}
(async () => {
  const full = 'web.shop.svc.cluster.local';
  console.log(JSON.stringify({
    lookup: await settled(dns.promises.lookup('web', { all: true })),
    ttl: await settled(resolver.resolve4(full, { ttl: true })),
    v6: await settled(resolver.resolve6(full, { ttl: true })),
    headless: await settled(resolver.resolve4('web-pods.shop.svc.cluster.local', { ttl: true })),
    tcp: await settled(overTcp(full)),
    unknown: await settled(resolver.resolve4('nothing.shop.svc.cluster.local')),
    far: await settled(resolver.resolve4('far.example')),
    srv: await settled(resolver.resolveSrv(full)),
  }));
})();
`;

interface Asked {
  readonly lookup: readonly { readonly address: string; readonly family: number }[];
  readonly ttl: readonly { readonly address: string; readonly ttl: number }[];
  readonly v6: readonly { readonly address: string; readonly ttl: number }[];
  readonly headless: readonly { readonly address: string; readonly ttl: number }[];
  readonly tcp: string;
  readonly unknown: string;
  readonly far: string;
  readonly srv: string;
}

const sleeper = (pod: string, annotations: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${pod}, namespace: shop, annotations: { ${annotations} } }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: sleep, command: [sleep, '100000'] }]
`;

let dir: string;
let mesh: LocalMesh;

async function ask(pod: string): Promise<Asked> {
  const command = ['node', '-e', asker];
  const { stdout, stderr } = await mesh.client.exec({ namespace: 'shop', pod, command });
  return JSON.parse(stdout === '' ? JSON.stringify({ stderr }) : stdout) as Asked;
}

/** Asks for a Service of the shop until the pod's resolver gives that time to live, or that error. */
async function seen(service: string, wanted: string): Promise<void> {
  const lookup = `
const resolver = new (require('node:dns').promises.Resolver)({ timeout: 3000, tries: 1 });
resolver.resolve4('${service}.shop.svc.cluster.local', { ttl: true }).then((a) => console.log(a[0].ttl), (e) => console.log(e.code));
`;
  const end = Date.now() + 15_000;
  for (;;) {
    const { stdout } = await mesh.client.exec({ namespace: 'shop', pod: 'captured', command: ['node', '-e', lookup] });
    if (stdout.trim() === wanted) return;
    if (Date.now() > end) throw new Error(`wanted ${wanted} for ${service}, seen last: ${stdout}`);
  }
}

async function stats(pod: string): Promise<ReadonlyMap<string, number>> {
  const { body = '' } = await mesh.client.proxy({ namespace: 'shop', pod }, 'admin', '/stats?filter=^dns_filter');
  const lines = body.split('\n').map((line) => line.split(': '));
  return new Map(lines.map(([stat = '', value = '']) => [stat, Number(value)]));
}

test.before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-dns-'));
  fs.writeFileSync(path.join(dir, 'shop.yaml'), `${labelled}---${web(1, 'v1').replaceAll('1337', '1000')}`);
  const captured = sleeper('captured', 'chainmail.dev/capture-dns: enabled');
  fs.writeFileSync(path.join(dir, 'pods.yaml'), `${captured}---${sleeper('plain', '')}`);
  mesh = await startLocalMesh({ dirs: [dir], name, mesh: { certificateTtlSeconds: 600 } });
  await waitUntilReady(mesh.client, readyMs);
  // The addresses of a headless Service are its ready pods', which agents hear of a moment after they are ready.
  await seen('web-pods', String(meshTtl));
});

test.after.always(async () => {
  await stopLocalMesh(name);
  fs.rmSync(dir, { recursive: true, force: true });
});

test.serial('names of the mesh come from the agent, all others from the cluster, over UDP and TCP', async (t) => {
  const [captured, plain] = [await ask('captured'), await ask('plain')];
  t.is(captured.ttl[0]?.ttl, meshTtl, JSON.stringify(captured));
  t.not(plain.ttl[0]?.ttl, meshTtl, JSON.stringify(plain));
  t.is(captured.v6[0]?.ttl, meshTtl);
  t.is(captured.headless[0]?.ttl, meshTtl);
  const addresses = (asked: Asked): unknown => ({
    lookup: asked.lookup.map((a) => a.address).toSorted(),
    v4: asked.ttl.map((a) => a.address),
    v6: asked.v6.map((a) => a.address),
    headless: asked.headless.map((a) => a.address),
    tcp: asked.tcp,
  });
  t.deepEqual(addresses(captured), addresses(plain), 'what is looked up is the same');
  t.is(captured.ttl[0]?.address ?? '', captured.tcp);
  for (const what of ['unknown', 'far', 'srv'] as const) t.is(captured[what], plain[what], what);
});

test.serial('the agent counts what it answered and what it passed on', async (t) => {
  const seen = await stats('captured');
  t.true((seen.get('dns_filter.dns.local_a_record_answers') ?? 0) >= 3, JSON.stringify([...seen]));
  t.true((seen.get('dns_filter.dns.local_aaaa_record_answers') ?? 0) >= 1);
  t.true((seen.get('dns_filter.dns.externally_resolved_queries') ?? 0) >= 2);
  t.is(seen.get('dns_filter.dns.external_timeouts'), 0);
  t.is(seen.get('dns_filter.dns.downstream_rx_invalid_queries'), 0);
  t.is((await stats('plain')).get('dns_filter.dns.downstream_rx_queries'), undefined);
});

test.serial('a Service that comes is known, one that goes is not any more', async (t) => {
  const late = `
apiVersion: v1
kind: Service
metadata: { name: late, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: http }] }
`;
  fs.writeFileSync(path.join(dir, 'late.yaml'), late);
  await t.notThrowsAsync(seen('late', String(meshTtl)));
  fs.rmSync(path.join(dir, 'late.yaml'));
  await t.notThrowsAsync(seen('late', 'ENOTFOUND'));
});

test.serial('requests by name work as ever', async (t) => {
  const script = `const r = await fetch('http://web/'); console.log(r.status)`;
  const command = ['node', '--input-type=module', '-e', script];
  t.is((await mesh.client.exec({ namespace: 'shop', pod: 'captured', command })).stdout, '200\n');
});
