import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createTrustBundle, formatTrustBundle, readPemCertificates, type TrustBundle } from '@chainmail/pki';
import { createRoot } from '@chainmail/pki/authority';
import { createLogger, ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { followBundleFile } from './bundle-file.ts';

const trustDomain = 'cluster.local';
const lifetimeMs = 3_600_000;

async function anchor(): Promise<Uint8Array> {
  const root = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs });
  return readPemCertificates(root.certificatePem)[0] ?? new Uint8Array();
}

async function setUp() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-bundle-'));
  const file = path.join(dir, 'bundle.pem');
  const roots = [await anchor(), await anchor()];
  const put = (text: string): void => fs.writeFileSync(file, text);
  const bundle = (sequence: number, count: number): TrustBundle =>
    createTrustBundle(trustDomain, roots.slice(0, count), sequence);
  put(formatTrustBundle(bundle(1, 1)));
  const clock = new ManualClock();
  const sink = new PassThrough();
  const offered: TrustBundle[] = [];
  const identity = { offerBundle: (b: TrustBundle) => void offered.push(b) };
  const log = createLogger({ component: 'test', sink });
  const stop = followBundleFile({ path: file, trustDomain, identity, clock, log });
  /** One look at the file that ends in a line of the log. */
  const look = async (): Promise<string> => {
    const line = once(sink, 'data');
    clock.advance(5000);
    const [data] = await line;
    while (clock.pending === 0) await nextTurn();
    return String(data);
  };
  return { dir, put, bundle, clock, offered, look, stop };
}

test('a bundle that was replaced is offered, one that is broken is told and changes nothing', async (t) => {
  const { dir, put, bundle, offered, look, stop } = await setUp();
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  t.regex(await look(), /trust bundle read/);
  put('no certificate');
  t.regex(await look(), /stays as it was/);
  put(formatTrustBundle(bundle(2, 2)));
  t.regex(await look(), /"sequence":2,"anchors":2/);
  stop();
  t.deepEqual(
    offered.map((b) => [b.sequence, b.anchors.length]),
    [
      [1, 1],
      [2, 2],
    ],
  );
});

test('nothing is looked at after it ended', async (t) => {
  const { dir, clock, stop } = await setUp();
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  stop();
  t.is(clock.pending, 0);
});
