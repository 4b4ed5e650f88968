/** The whole process but for its signals: real HTTPS with an SVID, real files, the CA in this process. */
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { type CsrSigner, parseSpiffeId, type SigningRequest } from '@chainmail/pki';
import { checkCsr, createRoot, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { parseCommand } from './command-line.ts';
import { runInjector } from './run-injector.ts';
import { maxBodyBytes } from './webhook.ts';

const trustDomain = 'cluster.local';
const injectorId = 'spiffe://cluster.local/ns/chainmail-system/sa/chainmail-injector';

/** Signs for the injector, as often as asked; can be told to refuse. */
class LocalCa implements CsrSigner {
  readonly #issuer: Issuer;
  readonly #clock: ManualClock;
  open = true;

  constructor(issuer: Issuer, clock: ManualClock) {
    this.#issuer = issuer;
    this.#clock = clock;
  }

  async sign({ csrPem }: SigningRequest) {
    const csr = checkCsr(csrPem);
    if (!this.open || !csr.ok) throw new Error('the CA is away');
    const template = { id: parseSpiffeId(injectorId), publicKey: csr.publicKey, dnsNames: ['localhost'] };
    const svid = await issueSvid(this.#issuer, { ...template, nowMs: this.#clock.now(), ttlMs: 600_000 });
    return { chainPem: [svid.certificatePem], trustAnchorsPem: [this.#issuer.bundle.pem], bundleSequence: 1 };
  }
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly serial: string;
}

async function setUp(
  t: ExecutionContext,
  options: { readonly caIsOpen?: boolean; readonly namespaces?: boolean; readonly startedAgoMs?: number } = {},
) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'injector-'));
  const valuesFile = path.join(dir, 'values.yaml');
  fs.writeFileSync(valuesFile, 'image: agent:test\n');
  const objects = path.join(dir, 'objects');
  fs.mkdirSync(objects);
  const clock = new ManualClock(Date.now() - (options.startedAgoMs ?? 0));
  const material = await createRoot({ trustDomain, nowMs: clock.now(), lifetimeMs: 86_400_000 });
  const issuer = await openIssuer(trustDomain, material);
  const ca = new LocalCa(issuer, clock);
  ca.open = options.caIsOpen ?? true;
  const flags = [
    '--listen',
    '127.0.0.1:0',
    '--values',
    valuesFile,
    '--ca',
    'unused:1',
    '--token-file',
    'x',
    '--trust-bundle',
    'y',
  ];
  const command = parseCommand([...flags, ...(options.namespaces ? ['--namespaces-dir', objects] : [])]);
  const running = await runInjector(command, { log: silentLogger, clock, signer: ca });
  t.teardown(async () => {
    await running.close();
    fs.rmSync(dir, { recursive: true });
  });
  const { port } = running;
  const call = (method: string, url: string, body = '', headers: Record<string, string> = {}): Promise<Answer> =>
    request(https.request({ port, method, path: url, headers, ca: issuer.certificatePem, agent: false }), body);
  const plain = (method: string, url: string, body = ''): Promise<Answer> =>
    request(http.request({ port, method, path: url, agent: false }), body);
  return { port, clock, ca, issuer, objects, call, plain };
}

async function request(outgoing: http.ClientRequest, body: string): Promise<Answer> {
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
  const serial = response.socket instanceof tls.TLSSocket ? response.socket.getPeerCertificate().serialNumber : '';
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode ?? 0, body: text, serial };
}

/** Each turn is a real exchange with the server, so there is nothing to sleep for. */
async function until(done: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) if (await done()) return;
  throw new Error('did not come about');
}

const json = { 'content-type': 'application/json' };
const pod = { metadata: { generateName: 'web-' }, spec: { containers: [{ name: 'web' }] } };
const reviewOf = (change: object = {}): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      kind: { group: '', kind: 'Pod' },
      operation: 'CREATE',
      namespace: 'shop',
      object: pod,
      ...change,
    },
  });

test('reviews over HTTPS with an SVID: injected, skipped and refused are counted', async (t) => {
  const { call, plain } = await setUp(t);
  await until(async () => (await plain('GET', '/healthz')).status === 200);
  const answer = await call('POST', '/inject?timeout=5s', reviewOf(), {
    'content-type': 'application/json; charset=utf-8',
  });
  t.is(answer.status, 200);
  const { response } = JSON.parse(answer.body);
  t.like(response, { uid: 'u-1', allowed: true, patchType: 'JSONPatch' });
  t.true(Buffer.from(response.patch, 'base64').toString().includes('agent:test'));
  t.is(
    JSON.parse((await call('POST', '/inject', reviewOf({ operation: 'UPDATE' }), json)).body).response.patch,
    undefined,
  );
  t.false(JSON.parse((await call('POST', '/inject', reviewOf({ object: 1 }), json)).body).response.allowed);
  const metrics = (await call('GET', '/metrics')).body;
  for (const outcome of ['inject', 'skip', 'deny']) t.true(metrics.includes(`reviews_total{outcome="${outcome}"} 1\n`));
  t.regex(metrics, /certificate_expiry_seconds [1-9]/);
  t.is((await call('GET', '/healthz')).status, 200);
});

test('what is no review is refused with a reason', async (t) => {
  const { call, plain } = await setUp(t);
  await until(async () => (await plain('GET', '/healthz')).status === 200);
  t.like(await call('POST', '/inject', '{', json), { status: 400, body: 'the body is not JSON\n' });
  t.is((await call('POST', '/inject', '{}', json)).status, 400);
  t.is((await call('POST', '/inject', reviewOf(), { 'content-type': 'text/plain' })).status, 415);
  t.is((await call('POST', '/inject', reviewOf())).status, 415);
  t.is((await call('GET', '/inject')).status, 405);
  t.is((await call('GET', '/other')).status, 404);
  t.true((await call('GET', '/metrics')).body.includes('outcome="malformed"} 4\n'));
});

test('a body above the cap is refused, with its length announced or not', async (t) => {
  const { call, plain } = await setUp(t);
  await until(async () => (await plain('GET', '/healthz')).status === 200);
  const announced = { ...json, 'content-length': String(maxBodyBytes + 1), expect: '100-continue' };
  t.is((await call('POST', '/inject', '', announced)).status, 413);
  const chunked = { ...json, 'transfer-encoding': 'chunked' };
  t.is((await call('POST', '/inject', `"${'x'.repeat(maxBodyBytes)}"`, chunked)).status, 413);
});

test('before a certificate: health is 503 in the clear, no handshake succeeds, then both come', async (t) => {
  const { call, plain, clock, ca } = await setUp(t, { caIsOpen: false });
  t.like(await plain('GET', '/healthz'), { status: 503, body: 'waiting for a certificate\n' });
  await t.throwsAsync(call('GET', '/healthz'), { code: 'ECONNRESET' });
  ca.open = true;
  await until(async () => {
    clock.advance(1000);
    return (await plain('GET', '/healthz')).status === 200;
  });
  t.is((await call('GET', '/healthz')).status, 200);
});

test('a review in the clear is never answered', async (t) => {
  const { plain } = await setUp(t);
  t.like(await plain('POST', '/inject', reviewOf()), { status: 403 });
});

test('a rotated certificate serves the next handshake; an expired one none', async (t) => {
  const { call, plain, clock, ca } = await setUp(t, { startedAgoMs: 500_000 });
  await until(async () => (await plain('GET', '/healthz')).status === 200);
  const first = (await call('GET', '/healthz')).serial;
  clock.advance(400_000);
  await until(async () => (await call('GET', '/healthz')).serial !== first);
  ca.open = false;
  clock.advance(700_000);
  t.is((await plain('GET', '/healthz')).status, 503);
  await t.throwsAsync(call('GET', '/healthz'), { code: 'ECONNRESET' });
});

test('namespaces come from the folder, one that was just written too; an unknown one is refused', async (t) => {
  const { call, plain, objects } = await setUp(t, { namespaces: true });
  await until(async () => (await plain('GET', '/healthz')).status === 200);
  const decide = async (namespace: string) =>
    JSON.parse((await call('POST', '/inject', reviewOf({ namespace }), json)).body).response;
  t.like(await decide('late'), { allowed: false });
  const write = (name: string, labels: object): void =>
    fs.writeFileSync(
      path.join(objects, `Namespace.${name}.json`),
      JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }),
    );
  write('late', { 'chainmail.dev/inject': 'enabled' });
  write('quiet', {});
  t.like(await decide('late'), { allowed: true, patchType: 'JSONPatch' });
  t.deepEqual(await decide('quiet'), { uid: 'u-1', allowed: true });
});

test('a client that sends rubbish or nothing disturbs nobody', async (t) => {
  const { port, plain } = await setUp(t);
  for (const bytes of ['\x16\x03\x01garbage that is no ClientHello', 'NOT HTTP\r\n\r\n', '']) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.end(bytes);
    socket.resume();
    await once(socket, 'close');
  }
  await until(async () => (await plain('GET', '/healthz')).status === 200);
  t.pass();
});

test('a values file that cannot be used ends the start by name', async (t) => {
  const command = parseCommand(
    '--listen 127.0.0.1:0 --values /nowhere/v.yaml --ca a:1 --token-file x --trust-bundle y'.split(' '),
  );
  await t.throwsAsync(runInjector(command, { log: silentLogger }), {
    code: 'VALUES_UNREADABLE',
    message: /\/nowhere\/v\.yaml/,
  });
});

for (const [what, args, message] of [
  ['an unknown flag', ['--lisen', 'x'], /lisen/],
  ['no values', ['--listen', 'a:1'], /--values is missing/],
  ['no host', ['--listen', ':1'], /--listen: ':1' is not HOST:PORT/],
  ['a port too high', ['--listen', 'a:99999'], /--listen/],
  ['a positional argument', ['serve'], /serve/],
] as const) {
  test(`misuse: ${what}`, (t) => {
    t.throws(() => parseCommand(args), { code: 'USAGE', message });
  });
}

test('help needs no other flag; IPv6 addresses stand in brackets', (t) => {
  t.true(parseCommand(['--help']).help);
  const all = '--listen [::1]:9443 --values v --ca a:1 --token-file x --trust-bundle y --log-level debug'.split(' ');
  t.deepEqual(parseCommand(all).listen, { host: '::1', port: 9443 });
  t.throws(() => parseCommand([...all, '--log-level', 'loud']), { code: 'USAGE', message: /loud/ });
});
