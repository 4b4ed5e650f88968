/**
 * What meshctl must tell about the demo application, wherever it runs: one suite for `meshctl dev` and Kubernetes.
 * A host starts manifests/demo and gives a way to run meshctl against it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestFn } from 'ava';

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Host {
  /** Runs meshctl against the mesh of this host; never rejects. */
  readonly meshctl: (args: readonly string[]) => Promise<Said>;
  /** A pod without an agent. */
  readonly plainPod: string;
}

const workloads = ['catalog', 'inventory-v1', 'inventory-v2', 'load', 'web'];
const id = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;

const headings = {
  stat: 'NAMESPACE NAME MESHED SUCCESS RPS LATENCY_P50 LATENCY_P95 LATENCY_P99 TCP_CONN',
  edges: 'SRC DST SRC_NS DST_NS SECURED REQUESTS CONNECTIONS',
  'certs list': 'NAMESPACE POD SPIFFE ID SERIAL LEFT STATUS',
  'proxy-status': 'NAMESPACE POD CDS EDS LDS RDS CONTROL CONNECTED',
  'config listeners shop/web': 'LISTENER ADDRESS FILTER CHAIN MATCH DESTINATION FILTERS',
  'config clusters shop/web': 'CLUSTER TYPE BALANCING IDENTITIES',
  'config routes shop/web': 'ROUTES DOMAINS ROUTE MATCH DESTINATION TIMEOUT RETRIES',
  'config endpoints shop/web': 'CLUSTER ADDRESS HEALTH WEIGHT REQUESTS ERRORS ACTIVE',
} as const;

interface Row {
  readonly [field: string]: unknown;
}

/** What `-o json` printed under a field. @throws Error with what meshctl said */
function rowsOf({ code, stdout, stderr }: Said, field: string): readonly Row[] {
  try {
    const parsed = JSON.parse(stdout) as Readonly<Record<string, readonly Row[]>>;
    return parsed[field] ?? [];
  } catch {
    throw new Error(`code ${code}: ${stdout}${stderr}`);
  }
}

const words = (line = ''): string =>
  line
    .trim()
    .split(/\s{2,}/)
    .join(' ');

const attempts = 20;

/** Asks again while a mesh settles (an agent just restarted, traffic has not begun); the last answer otherwise. */
async function settled(ask: () => Promise<Said>, isFine: (said: Said) => boolean): Promise<Said> {
  let said = await ask();
  for (let i = 1; i < attempts && !isFine(said); i++) said = await ask();
  return said;
}

function readCommands(test: TestFn, host: () => Host): void {
  for (const [command, heading] of Object.entries(headings)) {
    test.serial(`${command}: the same columns everywhere`, async (t) => {
      const { code, stdout, stderr } = await host().meshctl(command.split(' '));
      t.is(code, 0, stderr);
      t.is(words(stdout.split('\n')[0]), heading);
      t.true(stdout.trim().split('\n').length > 1, stdout);
    });
  }

  test.serial('stat: every workload with its agents, and traffic at web', async (t) => {
    const webOf = (s: Said): Row | undefined => rowsOf(s, 'rows').find((r) => r['name'] === 'web');
    const said = await settled(
      () => host().meshctl(['stat', '-n', 'shop', '--window', '2s', '-o', 'json']),
      (s) => s.code === 0 && webOf(s)?.['successRate'] === 1,
    );
    const rows = rowsOf(said, 'rows');
    t.deepEqual(
      rows.map((r) => r['name']),
      workloads,
    );
    for (const r of rows) t.is(r['meshed'], r['pods'], String(r['name']));
    t.true(Number(webOf(said)?.['rps']) > 0);
    t.is(webOf(said)?.['successRate'], 1);
    t.is(said.code, 0, said.stderr);
  });

  test.serial('edges: mutual TLS with both identities', async (t) => {
    const rows = rowsOf(await host().meshctl(['edges', '-n', 'shop', '-o', 'json']), 'edges');
    const edge = rows.find((r) => r['source'] === 'web' && r['destination'] === 'catalog');
    t.like(edge, { secured: 'TLSv1.3', clientId: id('web'), serverId: id('catalog') });
  });

  test.serial('proxy-status: every agent is connected and has the newest', async (t) => {
    const said = await settled(
      () => host().meshctl(['proxy-status', '-n', 'shop', '-o', 'json']),
      (s) => s.code === 0 && !s.stdout.includes('STALE'),
    );
    const rows = rowsOf(said, 'proxies');
    t.is(rows.length, 7);
    for (const r of rows) t.like(r, { cds: 'SYNCED', eds: 'SYNCED', lds: 'SYNCED', rds: 'SYNCED' }, String(r['pod']));
    t.is(said.code, 0, said.stderr);
  });

  test.serial('config: what web was told about catalog', async (t) => {
    // On a busy machine endpoints come and go with their readiness, and a cluster's identities with its endpoints.
    const lines = (s: Said): string => s.stdout.split('\n').map(words).join('\n');
    const shows = async (kind: string, pattern: RegExp): Promise<void> => {
      const ask = (): Promise<Said> => host().meshctl(['config', kind, 'shop/web']);
      const said = await settled(ask, (s) => pattern.test(lines(s)));
      t.is(said.code, 0, said.stderr);
      t.regex(lines(said), pattern);
    };
    await shows(
      'clusters',
      /^outbound\|8080\|\|catalog\.shop\S+ EDS \S+ spiffe:\/\/cluster\.local\/ns\/shop\/sa\/catalog$/m,
    );
    await shows(
      'routes',
      /^outbound\|8080\|\|catalog\.shop\S+ \* default \/\* outbound\|8080\|\|catalog\S+ none \d+ on \S+$/m,
    );
    await shows('listeners', /^outbound 127\.0\.0\.1:15001 outbound\|8080\|\|catalog\.shop/m);
    // One that answered with errors while the machine was busy is ejected for a while, and was told all the same.
    await shows('endpoints', /(^outbound\|8080\|\|catalog\S+ \S+:8080 (healthy|failed: outlier_check) 1 .*\n){2}/m);
    const dump = await host().meshctl(['config', 'all', 'shop/web', '-o', 'json']);
    t.true(dump.stdout.includes('RoutesConfigDump'));
    t.notRegex(dump.stdout, /PRIVATE KEY/);
  });

  test.serial('logs: access log of an agent, log of a program of the mesh, of another container', async (t) => {
    const last = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await host().meshctl(['logs', '--tail', '1', ...args]);
      t.is(code, 0, stderr);
      return (stdout.trim().split('\n').at(-1) ?? '').replace(/^\[[^\]]+\] /, '');
    };
    t.is(typeof (JSON.parse(await last('shop/web')) as Row)['response_code'], 'number');
    t.is((JSON.parse(await last('control')) as Row)['component'], 'control');
    t.is((await host().meshctl(['logs', 'shop/web', '-c', 'web'])).code, 0);
  });
}

function certificates(test: TestFn, host: () => Host): void {
  test.serial('certs list: a valid certificate for every pod; --fail-within says when one ends too soon', async (t) => {
    const rows = rowsOf(await host().meshctl(['certs', 'list', '-n', 'shop', '-o', 'json']), 'certificates');
    t.is(rows.length, 7);
    for (const r of rows) t.is(r['status'], 'valid');
    t.is(rows.filter((r) => r['spiffeId'] === id('inventory')).length, 3);
    t.is((await host().meshctl(['certs', 'list', '-n', 'shop', '--fail-within', '1s'])).code, 0);
    t.is((await host().meshctl(['certs', 'list', '-n', 'shop', '--fail-within', '40d'])).code, 1);
  });

  test.serial('certs show: one in words', async (t) => {
    const { stdout } = await host().meshctl(['certs', 'show', 'shop/web']);
    t.true(stdout.includes(`SPIFFE ID:      ${id('web')}`), stdout);
    t.regex(stdout, /^Status: +valid$/m);
  });

  test.serial(
    'certs export: a new certificate with its key, for its owner only, and never over another file',
    async (t) => {
      const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshctl-contract-'));
      t.teardown(() => fs.rmSync(dir, { recursive: true }));
      const out = path.join(dir, 'web.pem');
      const { code, stderr } = await host().meshctl(['certs', 'export', 'shop/web', '--out', out]);
      t.is(code, 0, stderr);
      t.is(fs.statSync(out).mode & 0o777, 0o600);
      const pem = fs.readFileSync(out, 'utf8');
      const leaf = new X509Certificate(
        /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem)?.[0] ?? '',
      );
      t.is(leaf.subjectAltName, `URI:${id('web')}`);
      t.true(leaf.checkPrivateKey(createPrivateKey(pem)));
      const again = await host().meshctl(['certs', 'export', 'shop/web', '--out', out]);
      t.regex(again.stderr, /\[EXPORT_EXISTS\]/);
    },
  );
}

function mistakes(test: TestFn, host: () => Host): void {
  test.serial('what is not there is said, with what there is', async (t) => {
    const refused = async (code: string, ...args: readonly string[]): Promise<string> => {
      const said = await host().meshctl(args);
      t.is(said.code, 1, args.join(' '));
      t.true(said.stderr.includes(`[${code}]`), said.stderr);
      return said.stderr;
    };
    t.regex(await refused('POD_NOT_FOUND', 'certs', 'show', 'shop/nobody'), /there are: .*shop\/web/);
    t.regex(await refused('NAMESPACE_EMPTY', 'stat', '-n', 'nowhere'), /there are: .*shop/);
    await refused('POD_NOT_MESHED', 'config', 'listeners', host().plainPod);
    await refused('POD_NOT_MESHED', 'certs', 'export', host().plainPod, '--out', '/tmp/none');
    await refused('POD_NOT_MESHED', 'logs', host().plainPod);
  });
}

/** Registers the suite; `host` is asked when a test runs, so that `test.before` may make it. */
export function meshctlContract(test: TestFn, host: () => Host): void {
  readCommands(test, host);
  certificates(test, host);
  mistakes(test, host);
}
