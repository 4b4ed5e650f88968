import { createPrivateKey, X509Certificate } from 'node:crypto';
import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { checkCsr, type Issuer, issueSvid } from './authority.ts';
import type { CsrSigner, SignedCertificate, SigningRequest } from './csr-signer.ts';
import { createKeyPair } from './key-pair.ts';
import { createTrustBundle } from './node-crypto.ts';
import { readPemCertificates } from './pem.ts';
import { makeIssuer, startMs, trustDomain, webId } from './test-material.ts';
import { parseSpiffeId } from './workload-id.ts';
import { type IdentityEvent, WorkloadIdentity, type WorkloadIdentityOptions } from './workload-identity.ts';

const second = 1000;

/** A CA in this process that can be told to fail, to hang or to answer wrongly. */
class TestCa implements CsrSigner {
  readonly clock: ManualClock;
  issuer: Issuer;
  sequence = 1;
  id = webId;
  failure: Error | undefined;
  hangs = false;
  readonly requests: SigningRequest[] = [];
  twist: (answer: SignedCertificate) => SignedCertificate = (answer) => answer;

  constructor(clock: ManualClock, issuer: Issuer) {
    this.clock = clock;
    this.issuer = issuer;
  }

  async sign(request: SigningRequest): Promise<SignedCertificate> {
    this.requests.push(request);
    if (this.hangs) return new Promise(() => {});
    if (this.failure !== undefined) throw this.failure;
    const csr = checkCsr(request.csrPem);
    if (!csr.ok) throw new Error(csr.reason);
    const { publicKey } = csr;
    const ttlMs = (request.ttlSeconds ?? 100) * second;
    const template = { id: parseSpiffeId(this.id), publicKey, dnsNames: [], nowMs: this.clock.now(), ttlMs };
    const svid = await issueSvid(this.issuer, template);
    return this.twist({
      chainPem: [svid.certificatePem, this.issuer.certificatePem],
      trustAnchorsPem: [this.issuer.bundle.pem],
      bundleSequence: this.sequence,
    });
  }
}

async function setUp(options: Partial<WorkloadIdentityOptions> = {}) {
  const clock = new ManualClock(startMs);
  const ca = new TestCa(clock, await makeIssuer());
  const random = (): number => 0.5;
  const identity = new WorkloadIdentity({ signer: ca, trustDomain, clock, random, expectedId: webId, ...options });
  const events: IdentityEvent[] = [];
  identity.subscribe((event) => events.push(event));
  /** The next event of the type, among those already seen from here on or to come. */
  const next = <T extends IdentityEvent['type']>(type: T): Promise<Extract<IdentityEvent, { type: T }>> =>
    new Promise((resolve) => {
      const end = identity.subscribe((event) => {
        if (event.type !== type) return;
        end();
        resolve(event as Extract<IdentityEvent, { type: T }>);
      });
    });
  const typesSeen = (): string[] => events.map((e) => e.type);
  return { clock, ca, identity, next, typesSeen };
}

/** Lets what was started by an event come to rest: the renewal's own `finally` runs after it. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the first certificate: key, chain without the root, bundle, all of one piece', async (t) => {
  const { ca, identity } = await setUp();
  t.is(identity.current(), undefined);
  identity.start();
  const material = await identity.ready();
  t.is(identity.current(), material);
  t.is(material.spiffeId, webId);
  t.is(material.sequence, 1);
  t.is(material.notAfterMs, startMs + 100 * second);
  t.is(material.bundlePem, ca.issuer.bundle.pem);
  const chain = readPemCertificates(material.chainPem);
  t.is(chain.length, 1);
  t.true(new X509Certificate(material.chainPem).checkPrivateKey(createPrivateKey(material.keyPem)));
  t.is(await identity.ready(), material);
});

test('renewal at half of the lifetime, with a new key, the old material in use until then', async (t) => {
  const { clock, ca, identity, next } = await setUp();
  identity.start();
  const first = await identity.ready();
  await settle();
  clock.advance(49 * second);
  t.is(ca.requests.length, 1);
  const rotated = next('rotated');
  clock.advance(1 * second);
  t.is(identity.current(), first);
  const { material } = await rotated;
  t.is(identity.current(), material);
  t.not(material.keyPem, first.keyPem);
  t.not(material.serial, first.serial);
  t.is(material.notAfterMs, startMs + 150 * second);
  t.not(ca.requests[0]?.csrPem, ca.requests[1]?.csrPem);
});

for (const [random, atSecond] of [
  [0, 40],
  [0.999999, 60],
] as const) {
  test(`jitter: random ${random} renews at ${atSecond} % of the lifetime`, async (t) => {
    const { clock, ca, identity, next } = await setUp({ random: () => random });
    identity.start();
    await identity.ready();
    await settle();
    clock.advance((atSecond - 1) * second);
    t.is(ca.requests.length, 1);
    const rotated = next('rotated');
    clock.advance(1 * second);
    await rotated;
    t.is(ca.requests.length, 2);
  });
}

test('a 20-second lifetime rotates again and again, always ahead of expiry', async (t) => {
  const { clock, identity, next, typesSeen } = await setUp({ ttlSeconds: 20 });
  identity.start();
  await identity.ready();
  const serials = new Set<string>();
  for (let i = 0; i < 10; i++) {
    await settle();
    const rotated = next('rotated');
    clock.advance(10 * second);
    serials.add((await rotated).material.serial);
    t.is(identity.current()?.notAfterMs, clock.now() + 20 * second);
  }
  t.is(serials.size, 10);
  t.true(typesSeen().every((type) => type === 'rotated'));
});

test('the CA is down: retries with back-off, alarm at a quarter, nothing after expiry, recovery', async (t) => {
  const { clock, ca, identity, next, typesSeen } = await setUp();
  identity.start();
  const first = await identity.ready();
  await settle();
  ca.failure = new Error('connection refused');
  const at = (): number => (clock.now() - startMs) / second;
  const failAfter = async (ms: number): Promise<number> => {
    const failed = next('renewal-failed');
    clock.advance(ms);
    const { retryInMs } = await failed;
    await settle();
    return retryInMs;
  };
  const delays = [await failAfter(50 * second)];
  const failUntil = async (second: number): Promise<void> => {
    for (let delay = delays.at(-1) ?? 0; at() + delay / 1000 < second; ) delays.push((delay = await failAfter(delay)));
  };
  await failUntil(75);
  t.true(delays.length > 4);
  t.true(Math.max(...delays) <= 10 * second, 'a tenth of the lifetime bounds the back-off');
  t.false(typesSeen().includes('expiring'));
  t.is(identity.current(), first);
  await failUntil(99);
  t.is(typesSeen().filter((type) => type === 'expiring').length, 1);
  t.is(identity.current(), first);
  await failUntil(130);
  t.is(identity.current(), undefined);
  t.is(typesSeen().filter((type) => type === 'expired').length, 1);
  t.is(typesSeen().filter((type) => type === 'expiring').length, 1);
  identity.offerBundle({ ...first.bundle, sequence: 9 });
  t.is(identity.current(), undefined);
  t.false(typesSeen().includes('bundle-changed'), 'what has expired is not handed out again');
  ca.failure = undefined;
  const rotated = next('rotated');
  clock.advance(30 * second);
  const { material } = await rotated;
  t.is(identity.current(), material);
});

test('before the first certificate it asks at least every five seconds', async (t) => {
  const { clock, ca, identity, next } = await setUp();
  ca.failure = new Error('connection refused');
  const first = next('renewal-failed');
  identity.start();
  let delay = ((await first) as { retryInMs: number }).retryInMs;
  for (let i = 0; i < 12; i++) {
    await settle();
    const failed = next('renewal-failed');
    clock.advance(delay);
    delay = ((await failed) as { retryInMs: number }).retryInMs;
    t.true(delay <= 5 * second);
  }
  t.true(delay >= 2 * second, 'and no more often once the CA has been away for a while');
  await settle();
  ca.failure = undefined;
  const rotated = next('rotated');
  clock.advance(delay);
  await rotated;
  t.not(identity.current(), undefined);
});

test('expiry is a matter of the clock alone: no timer has to fire for it', async (t) => {
  const { ca, identity, clock } = await setUp();
  identity.start();
  const { notAfterMs } = await identity.ready();
  ca.hangs = true;
  await settle();
  clock.advance(notAfterMs - clock.now());
  t.not(identity.current(), undefined);
  clock.advance(1);
  t.is(identity.current(), undefined);
});

test('a CA that never answers counts as failed, and is asked again', async (t) => {
  const { clock, ca, identity, next } = await setUp();
  ca.hangs = true;
  identity.start();
  await settle();
  while (ca.requests.length === 0) await settle();
  const failed = next('renewal-failed');
  clock.advance(20 * second);
  t.regex((await failed).reason, /did not answer within/);
  await settle();
  ca.hangs = false;
  const rotated = next('rotated');
  clock.advance(30 * second);
  await rotated;
  t.is(ca.requests.length, 2);
});

type Twist = readonly [name: string, reason: RegExp, twist: (ca: TestCa) => Promise<void> | void];
const wrongAnswers: readonly Twist[] = [
  [
    'for another id',
    /expected spiffe:\/\/cluster.local\/ns\/shop\/sa\/web/,
    (ca) => {
      ca.id = 'spiffe://cluster.local/ns/shop/sa/admin';
    },
  ],
  [
    'signed by a root that is not in the answer',
    /no trust anchor/,
    async (ca) => {
      const other = await makeIssuer();
      ca.twist = (answer) => ({ ...answer, trustAnchorsPem: [other.bundle.pem] });
    },
  ],
  [
    'without anchors',
    /no certificate/,
    (ca) => {
      ca.twist = (answer) => ({ ...answer, trustAnchorsPem: [] });
    },
  ],
  [
    'without a chain',
    /no certificate was presented/,
    (ca) => {
      ca.twist = (answer) => ({ ...answer, chainPem: [] });
    },
  ],
  [
    'for another key',
    /another key/,
    async (ca) => {
      const { publicKey } = await createKeyPair();
      const template = { id: parseSpiffeId(webId), publicKey, dnsNames: [], nowMs: startMs, ttlMs: 90 * second };
      const { certificatePem } = await issueSvid(ca.issuer, template);
      ca.twist = (answer) => ({ ...answer, chainPem: [certificatePem] });
    },
  ],
];
for (const [name, reason, twist] of wrongAnswers) {
  test(`a wrong answer is not used: ${name}`, async (t) => {
    const { clock, ca, identity, next } = await setUp();
    identity.start();
    const held = await identity.ready();
    await twist(ca);
    await settle();
    const failed = next('renewal-failed');
    clock.advance(50 * second);
    t.regex((await failed).reason, reason);
    t.is(identity.current(), held);
  });
}

test('a bundle never goes back to an older sequence', async (t) => {
  const { clock, ca, identity, next } = await setUp();
  const later = await makeIssuer();
  const ders = [ca.issuer, later].flatMap((i) => readPemCertificates(i.certificatePem));
  const both = createTrustBundle(trustDomain, ders, 5);
  identity.start();
  await identity.ready();
  await settle();
  const changed = next('bundle-changed');
  identity.offerBundle(both);
  t.is((await changed).material.sequence, 5);
  t.is(identity.current()?.bundlePem, both.pem);
  identity.offerBundle({ ...both, sequence: 4 });
  const rotated = next('rotated');
  clock.advance(50 * second);
  t.is((await rotated).material.sequence, 5, 'the CA still answers with sequence 1');
  t.throws(() => identity.offerBundle({ ...both, trustDomain: 'other.local' }), { message: /another trust domain/ });
});

test('a listener that throws costs nobody else anything', async (t) => {
  const { clock, ca, identity, next } = await setUp();
  const broken = new WorkloadIdentity({ signer: ca, trustDomain, clock, random: () => 0.5 });
  t.teardown(() => broken.stop());
  broken.subscribe(() => {
    throw new Error('broken listener');
  });
  broken.start();
  const first = await broken.ready();
  await settle();
  t.is(broken.current(), first);
  t.is(ca.requests.length, 1);
  identity.start();
  await next('rotated');
  t.is(ca.requests.length, 2);
});

test('stopped: no key, no timer, no further request, and who waited learns it', async (t) => {
  const { clock, ca, identity } = await setUp();
  identity.start();
  await identity.ready();
  await settle();
  identity.stop();
  t.is(identity.current(), undefined);
  clock.advance(1000 * second);
  t.is(ca.requests.length, 1);
  t.is(clock.pending, 0);
  t.throws(() => identity.start());
  const waiting = new WorkloadIdentity({ signer: ca, trustDomain, clock });
  const ready = waiting.ready();
  waiting.stop();
  await t.throwsAsync(ready, { message: /stopped/ });
});
