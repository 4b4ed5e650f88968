import { type CsrSigner, parseSpiffeId, readPemCertificates, WorkloadIdentity } from '@chainmail/pki';
import { checkCsr, createRoot, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import type { SecureServer, ServingCertificate } from './secure-server.ts';
import { anchorOf, Serving, type TrustKeeper } from './serving.ts';

const trustDomain = 'cluster.local';
const id = parseSpiffeId('spiffe://cluster.local/ns/chainmail-system/sa/chainmail-injector');

/** Signs with one of its roots; all of them are in the bundle. */
class RotatingCa implements CsrSigner {
  readonly #clock: ManualClock;
  readonly issuers: Issuer[] = [];
  signing = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async addRoot(): Promise<void> {
    const root = await createRoot({ trustDomain, nowMs: this.#clock.now(), lifetimeMs: 86_400_000 });
    this.issuers.push(await openIssuer(trustDomain, root));
  }

  async sign({ csrPem }: { readonly csrPem: string }) {
    const csr = checkCsr(csrPem);
    const issuer = this.issuers[this.signing];
    if (!csr.ok || issuer === undefined) throw new Error('cannot sign');
    const template = { id, publicKey: csr.publicKey, dnsNames: [], nowMs: this.#clock.now(), ttlMs: 600_000 };
    const svid = await issueSvid(issuer, template);
    return {
      chainPem: [svid.certificatePem, issuer.certificatePem],
      trustAnchorsPem: this.issuers.map((i) => i.certificatePem),
      bundleSequence: this.issuers.length,
    };
  }
}

async function setUp() {
  const clock = new ManualClock(Date.now());
  const ca = new RotatingCa(clock);
  await ca.addRoot();
  const identity = new WorkloadIdentity({ signer: ca, trustDomain, clock, random: () => 0.5 });
  const served: (ServingCertificate | undefined)[] = [];
  const server = { setCertificate: (c: ServingCertificate | undefined) => served.push(c) } as unknown as SecureServer;
  const trusted = new Set<string>();
  const offered: number[] = [];
  const keeper: TrustKeeper = { offer: (b) => void offered.push(b.sequence), trusts: (anchor) => trusted.has(anchor) };
  const serving = new Serving(server, keeper);
  identity.subscribe((event) => serving.take(event));
  const rotated = (): Promise<void> =>
    new Promise((resolve) => {
      const end = identity.subscribe(({ type }) => {
        if (type !== 'rotated') return;
        end();
        resolve();
      });
    });
  /** The API servers trust the root of what is held now. */
  const trustHeld = (): void => {
    const held = identity.current();
    trusted.add(held === undefined ? '' : (anchorOf(held) ?? ''));
    serving.switch();
  };
  return { clock, ca, identity, served, offered, serving, rotated, trustHeld };
}

const serialOf = (c: ServingCertificate | undefined): string =>
  readPemCertificates(c?.chainPem ?? '')[0]?.toString() ?? '';

test('nothing is served before API servers trust its root', async (t) => {
  const { identity, served, trustHeld, offered, serving, rotated } = await setUp();
  t.is(serving.whyNot, 'waiting for a certificate');
  const first = rotated();
  identity.start();
  await first;
  t.deepEqual(offered, [1]);
  t.is(served.length, 0);
  t.is(serving.whyNot, 'waiting for the caBundle to be published');
  trustHeld();
  t.is(served.length, 1);
  t.is(serving.whyNot, undefined);
  identity.stop();
});

test('a certificate of a new root waits while the one before goes on', async (t) => {
  const { clock, ca, identity, served, trustHeld, serving, rotated } = await setUp();
  const first = rotated();
  identity.start();
  await first;
  trustHeld();
  const before = serving.expiryMs;
  await ca.addRoot();
  ca.signing = 1;
  const second = rotated();
  clock.advance(301_000);
  await second;
  t.is(served.length, 1, 'the old one is served');
  t.is(serving.expiryMs, before);
  t.is(serving.whyNot, undefined);
  trustHeld();
  t.is(served.length, 2);
  t.not(serialOf(served[1]), serialOf(served[0]));
  identity.stop();
});

test('a renewal under a root that is trusted is served at once; an expired one is taken down', async (t) => {
  const { clock, ca, identity, served, trustHeld, serving, rotated } = await setUp();
  const first = rotated();
  identity.start();
  await first;
  trustHeld();
  const second = rotated();
  clock.advance(301_000);
  await second;
  t.is(served.length, 2);
  ca.signing = 9; // the CA is away
  clock.advance(700_000);
  while (served.length < 3) await new Promise((done) => setImmediate(done));
  t.is(served[2], undefined);
  t.is(serving.whyNot, 'waiting for a certificate');
  identity.stop();
});
