import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  createCsr,
  createKeyPair,
  parseTrustBundle,
  readPemCertificates,
  verifySvid,
  WorkloadIdentity,
} from '@chainmail/pki';
import { createRoot } from '@chainmail/pki/authority';
import { createLogger, ManualClock, UserError } from '@chainmail/runtime';
import { createCaSigner } from '@chainmail/xds/grpc';
import test, { type ExecutionContext } from 'ava';
import { activateRoot, type CaState, initialState, prepareRoot } from './ca-state.ts';
import { FolderStore } from './folder-store.ts';
import { JwksAttestor } from './jwks-attestor.ts';
import { MemoryStore } from './memory-store.ts';
import { startCa } from './serve.ts';
import { claimsOf, es256, issuer } from './test-tokens.ts';

const second = 1000;
const webId = 'spiffe://cluster.local/ns/shop/sa/web';
type Line = Record<string, unknown>;

/** The real CA on loopback: folder store, JWKS file, pods folder, manual clock that starts now (TLS looks at the real one). */
async function setUp(t: ExecutionContext) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ca-e2e-'));
  const file = (name: string): string => path.join(dir, name);
  const clock = new ManualClock(Date.now());
  const keys = es256();
  fs.writeFileSync(file('jwks.json'), JSON.stringify({ keys: [keys.jwk] }));
  fs.mkdirSync(file('objects'));
  const lines: Line[] = [];
  const sink = { write: (line: string) => void lines.push(JSON.parse(line) as Line) };
  const start = () =>
    startCa({
      store: new FolderStore(file('state')),
      attestor: new JwksAttestor({ jwksPath: file('jwks.json'), issuer, podsDir: file('objects'), clock }),
      trustDomain: 'cluster.local',
      listen: '127.0.0.1:0',
      ttl: { defaultSeconds: 20, maxSeconds: 3600 },
      metricsListen: '127.0.0.1:0',
      bundleFile: file('bundle.pem'),
      clock,
      log: createLogger({ component: 'ca', sink }),
    });
  const ca = await start();
  t.teardown(async () => {
    await ca.close();
    fs.rmSync(dir, { recursive: true });
  });
  const writeToken = (claims: unknown, header?: Line): void =>
    fs.writeFileSync(file('token'), keys.sign(claims, header));
  const publishPod = (name: string, uid: string, more: { serviceAccountName?: string; phase?: string } = {}): void => {
    const { serviceAccountName = 'web', phase = 'Running' } = more;
    const metadata = { name, namespace: 'shop', uid };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { serviceAccountName }, status: { phase } };
    fs.writeFileSync(file(`objects/pod.shop.${name}.json`), JSON.stringify(pod));
  };
  const signerAt = (address: string) =>
    createCaSigner({
      address,
      trustDomain: 'cluster.local',
      trustBundle: { path: file('bundle.pem') },
      tokenPath: file('token'),
      clock,
    });
  publishPod('web-1', 'uid-of-web-1');
  writeToken(claimsOf(clock.now()));
  return { ca, clock, file, keys, lines, start, writeToken, publishPod, signerAt, signer: signerAt(ca.address) };
}

const rotation = (identity: WorkloadIdentity): Promise<string> =>
  new Promise((resolve) => {
    const end = identity.subscribe((event) => {
      if (event.type !== 'rotated') return;
      end();
      resolve(event.material.serial);
    });
  });
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a workload gets its SVID and rotates it; the server rotates its own meanwhile', async (t) => {
  const { ca, clock, lines, signer } = await setUp(t);
  const identity = new WorkloadIdentity({
    signer,
    trustDomain: 'cluster.local',
    clock,
    random: () => 0.5,
    expectedId: webId,
  });
  t.teardown(() => identity.stop());
  identity.start();
  const first = await identity.ready();
  t.is(first.notAfterMs, Math.floor((clock.now() + 20 * second) / 1000) * 1000);
  const serials = new Set([first.serial]);
  const serverSerials = new Set([ca.identity.current()?.serial]);
  for (let i = 0; i < 4; i++) {
    await settle();
    const rotated = rotation(identity);
    const serverRotated = rotation(ca.identity);
    clock.advance(13 * second); // both have a jittered half of 20 s behind them
    serials.add(await rotated);
    serverSerials.add(await serverRotated);
  }
  t.is(serials.size, 5);
  t.is(serverSerials.size, 5);
  const issued = lines.filter((l) => l['audit'] === 'issued' && l['spiffeId'] === webId);
  t.is(issued.length, 5);
  t.deepEqual(new Set(issued.map((l) => l['serial'])), serials);
  t.true(issued.every((l) => /^[0-9a-f]{64}$/.test(String(l['leafSha256'])) && l['pod'] === 'web-1'));
});

test("what the CA issues: the identity of the token, whatever the request says; the mesh's own have DNS names", async (t) => {
  const { clock, file, writeToken, signer } = await setUp(t);
  const csrPem = createCsr((await createKeyPair()).privateKey);
  const bundles = [parseTrustBundle(fs.readFileSync(file('bundle.pem'), 'utf8'), 'cluster.local')];
  const issuedFor = async (claims: unknown) => {
    writeToken(claims);
    const answer = await signer.sign({ csrPem, ttlSeconds: 60 });
    t.is(answer.bundleSequence, 1);
    const verdict = verifySvid({ chain: answer.chainPem.flatMap(readPemCertificates), bundles, nowMs: clock.now() });
    if (!verdict.ok) throw new Error(verdict.reason);
    return verdict;
  };
  const web = await issuedFor(claimsOf(clock.now()));
  t.is(web.spiffeId, webId);
  t.deepEqual(web.leaf.dnsNames, []);
  const control = await issuedFor(claimsOf(clock.now(), 'chainmail-system', 'chainmail-control', null));
  t.is(control.spiffeId, 'spiffe://cluster.local/ns/chainmail-system/sa/chainmail-control');
  t.deepEqual(control.leaf.dnsNames, [
    'chainmail-control.chainmail-system.svc',
    'chainmail-control.chainmail-system.svc.cluster.local',
  ]);
});

test('refused, with the reason for the caller and a line in the audit', async (t) => {
  const { clock, file, lines, writeToken, publishPod, signer } = await setUp(t);
  const csrPem = createCsr((await createKeyPair()).privateKey);
  const good = claimsOf(clock.now());
  const refused = async (
    reason: RegExp,
    code: string,
    request: { csrPem: string; ttlSeconds?: number } = { csrPem },
  ) => {
    const error = await t.throwsAsync(signer.sign(request), { instanceOf: UserError, message: reason });
    t.is(error.code, 'CA_REFUSED');
    const last = lines.at(-1);
    t.like(last, { audit: 'refused', code });
    t.regex(String(last?.['reason']), reason);
  };
  writeToken({ ...good, aud: ['kubernetes'] });
  await refused(/not for audience chainmail-ca/, 'unauthenticated');
  writeToken({ ...good, exp: good.iat - 1 });
  await refused(/expired/, 'unauthenticated');
  writeToken(good, { alg: 'none' });
  await refused(/algorithm/, 'unauthenticated');
  fs.writeFileSync(file('token'), es256().sign(good));
  await refused(/signature is wrong/, 'unauthenticated');
  writeToken(claimsOf(clock.now(), 'shop', 'web', 'web-2'));
  await refused(/there is no pod shop\/web-2/, 'not-live');
  writeToken(good);
  publishPod('web-1', 'another-uid');
  await refused(/another one now/, 'not-live');
  publishPod('web-1', 'uid-of-web-1', { serviceAccountName: 'admin' });
  await refused(/another service account/, 'not-live');
  publishPod('web-1', 'uid-of-web-1', { phase: 'Failed' });
  await refused(/has ended/, 'not-live');
  publishPod('web-1', 'uid-of-web-1');
  await refused(/above the maximum of 3600 s/, 'bad-ttl', { csrPem, ttlSeconds: 3601 });
  await refused(/not exactly one CERTIFICATE REQUEST/, 'bad-request', { csrPem: 'nothing' });
  await refused(/larger than/, 'bad-request', { csrPem: 'x'.repeat(10_000) });
  await t.throwsAsync(signer.sign({ csrPem: 'x'.repeat(100_000) }), { message: /RESOURCE_EXHAUSTED/ });
  t.false(JSON.stringify(lines).includes(fs.readFileSync(file('token'), 'utf8').slice(-40)), 'no token in the log');
  await signer.sign({ csrPem });
});

test('keys that cannot be read refuse everybody, and are taken up again without a restart', async (t) => {
  const { clock, file, signer, writeToken } = await setUp(t);
  const csrPem = createCsr((await createKeyPair()).privateKey);
  await signer.sign({ csrPem });
  const old = fs.readFileSync(file('jwks.json'));
  fs.writeFileSync(file('jwks.json'), '{}');
  await t.throwsAsync(signer.sign({ csrPem }), { message: /the CA failed; its log has the reason \(INTERNAL\)/ });
  const next = es256('ec-2');
  fs.writeFileSync(file('jwks.json'), JSON.stringify({ keys: [next.jwk] }));
  writeToken(claimsOf(clock.now()));
  await t.throwsAsync(signer.sign({ csrPem }), { message: /unknown key/ });
  fs.writeFileSync(file('jwks.json'), old);
  await signer.sign({ csrPem });
});

test('health and metrics', async (t) => {
  const { ca, signer, writeToken } = await setUp(t);
  const get = async (path: string) => {
    const response = await fetch(`http://${ca.metricsAddress}${path}`);
    return { status: response.status, text: await response.text() };
  };
  await signer.sign({ csrPem: createCsr((await createKeyPair()).privateKey) });
  writeToken({});
  await t.throwsAsync(signer.sign({ csrPem: 'x' }));
  const { text } = await get('/metrics');
  t.regex(text, /^chainmail_ca_certificates_issued_total 2$/m, 'its own and one more');
  t.regex(text, /^chainmail_ca_requests_refused_total\{code="unauthenticated"\} 1$/m);
  t.regex(text, /^chainmail_ca_bundle_sequence 1$/m);
  t.regex(text, /^chainmail_ca_root_expiry_timestamp_seconds \d{10}/m);
  t.is((await get('/healthz')).status, 200);
  t.is((await get('/')).status, 404);
  ca.identity.stop();
  t.is((await get('/healthz')).status, 503);
});

test('one workload cannot ask without end, nor can one address', async (t) => {
  const { clock, lines, signer, writeToken } = await setUp(t);
  const csrPem = createCsr((await createKeyPair()).privateKey);
  const limitedAfter = async (): Promise<number> => {
    for (let n = 0; ; n++) {
      const reason = await signer.sign({ csrPem }).then(() => '', String);
      if (reason.includes('RESOURCE_EXHAUSTED')) return n;
    }
  };
  t.is(await limitedAfter(), 20);
  t.like(lines.at(-1), { code: 'rate-limited', caller: webId, reason: 'too many requests of this workload' });
  writeToken({ ...claimsOf(clock.now()), aud: [] });
  t.is(await limitedAfter(), 60 - 21);
  t.like(lines.at(-1), { code: 'rate-limited', reason: 'too many requests of this address' });
  clock.advance(1 * second);
  writeToken(claimsOf(clock.now()));
  await signer.sign({ csrPem });
});

test('an exchanged root: published and signing without a restart, and known to a CA that starts again', async (t) => {
  const { ca, clock, file, signer, start, signerAt } = await setUp(t);
  const csrPem = createCsr((await createKeyPair()).privateKey);
  const published = () => parseTrustBundle(fs.readFileSync(file('bundle.pem'), 'utf8'), 'cluster.local');
  const before = published();
  t.is(before.sequence, 1);
  const nowMs = clock.now();
  const root = await createRoot({ trustDomain: 'cluster.local', nowMs, lifetimeMs: 3_600_000 });
  const other = new FolderStore(file('state'));
  const change = async (next: (state: CaState) => CaState): Promise<void> => {
    const stored = await other.load();
    if (stored === undefined) throw new Error('nothing is stored');
    t.true(await other.replace(next(stored.state), stored.revision));
  };
  await change((state) => prepareRoot(state, root, nowMs));
  const offered = new Promise<number>((resolve) => {
    ca.identity.subscribe((event) => event.type === 'bundle-changed' && resolve(event.material.sequence));
  });
  clock.advance(2 * second);
  t.is(await offered, 2);
  const both = published();
  t.is(both.sequence, 2);
  t.is(both.anchors.length, 2);
  await change((state) => activateRoot(state, nowMs + 3_600_000));
  const restarted = await start();
  t.teardown(() => restarted.close());
  const answer = await signerAt(restarted.address).sign({ csrPem });
  const chain = answer.chainPem.flatMap(readPemCertificates);
  const verdict = verifySvid({ chain, bundles: [both], nowMs });
  t.is(verdict.ok && verdict.anchor.sha256, both.anchors[1]?.sha256 ?? '');
  const byOld = verifySvid({ chain, bundles: [before], nowMs });
  t.is(byOld.ok ? '' : byOld.code, 'untrusted');
  await signer.sign({ csrPem });
});

test('a CA that cannot certify itself says so instead of serving', async (t) => {
  const clock = new ManualClock(Date.now());
  const store = new MemoryStore();
  const root = await createRoot({ trustDomain: 'cluster.local', nowMs: clock.now(), lifetimeMs: 60_000 });
  await store.create(initialState('cluster.local', root, clock.now()));
  clock.advance(61_000);
  const starting = startCa({
    ...{ store, clock, trustDomain: 'cluster.local', listen: '127.0.0.1:0' },
    attestor: { attest: () => Promise.reject(new Error('unused')) },
    ttl: { defaultSeconds: 20, maxSeconds: 60 },
    log: createLogger({ component: 'ca', level: 'silent' }),
  });
  const error = await t.throwsAsync(starting, { instanceOf: UserError, message: /expired/ });
  t.is(error.code, 'CA_OWN_IDENTITY');
});

test('a state of another trust domain, a taken port: the CA does not start', async (t) => {
  const { ca, file, clock } = await setUp(t);
  const base = {
    store: new FolderStore(file('state')),
    attestor: { attest: () => Promise.reject(new Error('unused')) },
    ttl: { defaultSeconds: 20, maxSeconds: 60 },
    clock,
    log: createLogger({ component: 'ca', level: 'silent' }),
  };
  const codeOf = async (trustDomain: string, listen: string) =>
    (await t.throwsAsync(startCa({ ...base, trustDomain, listen }), { instanceOf: UserError })).code;
  t.is(await codeOf('other.local', '127.0.0.1:0'), 'CA_TRUST_DOMAIN');
  t.is(await codeOf('cluster.local', ca.address), 'CA_LISTEN');
});
