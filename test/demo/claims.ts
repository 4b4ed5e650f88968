/** The nine claims of the demo. Each looks for evidence in the running mesh; none knows the answer beforehand. */
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { DevPod } from '@chainmail/local';
import { capture } from './capture.ts';
import type { RotationWatch } from './rotation.ts';
import { type Shop, sleep, waitFor } from './shop.ts';

export interface Outcome {
  readonly passed: boolean;
  readonly evidence: string;
}

export interface Claim {
  readonly id: string;
  readonly claim: string;
  check(shop: Shop, rotation: RotationWatch): Promise<Outcome>;
}

const policies = '30-policies.yaml';
const newMark = (): string => `mark-${crypto.randomBytes(8).toString('hex')}`;

interface Probe {
  readonly connected: boolean;
  readonly handshake: boolean;
  readonly received: string;
  readonly error: string;
}

function probe(
  shop: Shop,
  from: DevPod,
  mode: 'plain' | 'tls',
  host: string,
  mark: string,
  rest: readonly string[] = [],
): Promise<Probe> {
  return shop.execJson<Probe>(from, ['node', '/app/probe.ts', mode, host, '8080', mark, ...rest]);
}

/** Changes the policy file of this run; the mesh reads the folder. */
function edit(shop: Shop, from: string | RegExp, to: string): void {
  const file = path.join(shop.folder, policies);
  const old = fs.readFileSync(file, 'utf8');
  const text = old.replace(from, to);
  if (text === old) throw new Error(`${policies} does not contain ${from}`);
  fs.writeFileSync(`${file}.tmp`, text);
  fs.renameSync(`${file}.tmp`, file);
}

async function everyPodHasIdentity(shop: Shop): Promise<Outcome> {
  const pods = await shop.pods('shop');
  const rows = await Promise.all(
    pods.map(async (pod) => {
      const { uri } = await shop.certificate(pod);
      const wanted = `spiffe://cluster.local/ns/shop/sa/${pod.serviceAccount}`;
      return { pod: pod.name, uri, ok: pod.containerNames.includes('mesh-agent') && uri === wanted };
    }),
  );
  const bad = rows.filter((r) => !r.ok);
  const ids = [...new Set(rows.map((r) => r.uri))].sort();
  return {
    passed: rows.length > 0 && bad.length === 0,
    evidence:
      bad.length > 0
        ? `wrong: ${bad.map((b) => `${b.pod} has '${b.uri}'`).join(', ')}`
        : `${rows.length} pods: ${ids.join(', ')}`,
  };
}

const wantedEdges = ['load -> web', 'web -> catalog', 'catalog -> inventory'];
const account = (id: string): string => id.slice(id.lastIndexOf('/') + 1);

async function edgesAreMutualTls(shop: Shop): Promise<Outcome> {
  const pods = await shop.pods('shop');
  const all = (await Promise.all(pods.map((p) => shop.edges(p)))).flat();
  // The agent's own hop to the application in its pod is not an edge between pods.
  const between = all.filter((e) => e.requests > 0 && !e.target.startsWith('inbound|'));
  const insecure = between.filter((e) => e.tls !== 'TLSv1.3' || e.local === '' || e.peer === '');
  const seen = new Set(
    between.map((e) =>
      e.direction === 'inbound'
        ? `${account(e.peer)} -> ${account(e.local)}`
        : `${account(e.local)} -> ${account(e.peer)}`,
    ),
  );
  const missing = wantedEdges.filter((w) => !seen.has(w));
  const requests = between.reduce((sum, e) => sum + e.requests, 0);
  const problem = [
    ...insecure.map((e) => `${e.direction} ${e.local || '?'} / ${e.peer || '?'} ${e.target} is '${e.tls}'`),
    ...missing.map((m) => `${m} was not seen`),
  ];
  return {
    passed: problem.length === 0,
    evidence:
      problem.length > 0
        ? problem.join('; ')
        : `TLSv1.3 with both identities on ${[...seen].sort().join(', ')} (${requests} requests)`,
  };
}

async function noPlaintextOnTheWire(shop: Shop): Promise<Outcome> {
  const { bridge } = await shop.dev.status();
  const intruder = await shop.pod('outside', 'intruder');
  const strict = await capture(shop.node, bridge, 4, () => sleep(0));
  edit(shop, 'mode: STRICT', 'mode: PERMISSIVE');
  try {
    await sleep(1500); // the change itself is claim 9; here only what goes over the wire counts
    const permissive = await capture(shop.node, bridge, 4, () =>
      probe(shop, intruder, 'plain', 'web.shop', newMark(), ['GET', '/']),
    );
    return {
      passed: strict.plaintext === 0 && strict.tls > 0 && permissive.plaintext > 0,
      evidence: `STRICT: ${strict.packets} packets, ${strict.tls} with TLS records, ${strict.plaintext} plaintext HTTP${strict.sample && ` (${strict.sample})`}; PERMISSIVE with the intruder: ${permissive.plaintext} plaintext (${permissive.sample})`,
    };
  } finally {
    edit(shop, 'mode: PERMISSIVE', 'mode: STRICT');
    await sleep(1500);
  }
}

async function marksSeen(shop: Shop, app: string): Promise<ReadonlySet<string>> {
  const pods = await shop.pods('shop', app);
  const seen = await Promise.all(pods.map((p) => shop.control<{ marks: readonly string[] }>(p, '/seen')));
  return new Set(seen.flatMap((s) => s.marks));
}

async function intruderIsRefused(shop: Shop): Promise<Outcome> {
  const intruder = await shop.pod('outside', 'intruder');
  const web = await shop.pod('shop', 'web');
  const catalog = await shop.pod('shop', 'catalog');
  const allowed = newMark();
  const own = await probe(shop, web, 'plain', 'catalog', allowed);
  const attempts: { readonly how: string; readonly mark: string; readonly result: Probe }[] = [];
  for (const mode of ['plain', 'tls'] as const) {
    for (const host of ['catalog.shop', catalog.ips[0] ?? '']) {
      const mark = newMark();
      attempts.push({ how: `${mode} to ${host}`, mark, result: await probe(shop, intruder, mode, host, mark) });
    }
  }
  const seen = await marksSeen(shop, 'catalog');
  const through = attempts.filter((a) => a.result.received !== '' || seen.has(a.mark) || !a.result.connected);
  const control = own.received.startsWith('HTTP/1.1 200') && seen.has(allowed);
  return {
    passed: through.length === 0 && control,
    evidence:
      through.length > 0
        ? `got through, or never connected: ${through.map((a) => `${a.how} ${JSON.stringify(a.result)}`).join('; ')}`
        : `${attempts.map((a) => a.how).join(', ')}: closed, 0 bytes back, no mark at the application; the same probe from web ${control ? 'arrived' : `did NOT arrive: ${own.received.slice(0, 80)}${own.error}`}`,
  };
}

interface LogLine {
  readonly method?: string;
  readonly response_code?: number;
  readonly response_code_details?: string;
  readonly peer_principal?: string;
}

async function policyIsNamed(shop: Shop): Promise<Outcome> {
  const web = await shop.pod('shop', 'web');
  const intruder = await shop.pod('outside', 'intruder');
  const get = await probe(shop, web, 'plain', 'catalog', newMark());
  const post = await probe(shop, web, 'plain', 'catalog', newMark(), ['POST']);
  const nothing = await Promise.all(
    ['web', 'catalog', 'inventory'].map((s) =>
      probe(shop, intruder, 'plain', `${s}.shop`, newMark(), ['GET', s === 'inventory' ? '/stock/coif' : '/']),
    ),
  );
  const line = await waitFor(async () => {
    for (const pod of await shop.pods('shop', 'catalog')) {
      const text = await shop.dev.logs({ namespace: 'shop', pod: pod.name, container: 'mesh-agent' });
      const found = text
        .split('\n')
        .filter((l) => l.includes('rbac_access_denied'))
        .map((l) => JSON.parse(l) as LogLine)
        .find((l) => l.method === 'POST' && l.response_code === 403);
      if (found !== undefined) return found;
    }
    return undefined;
  }, 3000);
  const named = line?.response_code_details?.includes('SecurityPolicy/shop/catalog-readers') === true;
  const status = (p: Probe): string => p.received.split('\r\n')[0] ?? '';
  return {
    passed:
      status(get).includes(' 200 ') &&
      status(post).includes(' 403 ') &&
      named &&
      nothing.every((p) => p.received === ''),
    evidence: `GET: ${status(get)}; POST: ${status(post)}; log: ${line?.response_code_details ?? 'no line'} for ${line?.peer_principal ?? '?'}; intruder: ${nothing.map((p) => (p.received === '' ? 'nothing' : status(p))).join(', ')}`,
  };
}

interface ClustersPage {
  readonly cluster_statuses: readonly {
    readonly name: string;
    readonly host_statuses?: readonly {
      readonly address: { readonly socket_address: { readonly address: string } };
      readonly health_status?: { readonly failed_outlier_check?: boolean };
    }[];
  }[];
}

async function isEjectedAt(shop: Shop, catalog: DevPod, ip: string): Promise<boolean> {
  const page = await shop.admin<ClustersPage>(catalog, '/clusters?format=json');
  return page.cluster_statuses
    .filter((c) => c.name.includes('inventory.shop'))
    .some((c) =>
      c.host_statuses?.some(
        (h) => h.address.socket_address.address === ip && h.health_status?.failed_outlier_check === true,
      ),
    );
}

async function failingReplicaIsEjected(shop: Shop): Promise<Outcome> {
  const v2 = (await shop.pods('shop', 'inventory')).find((p) => p.labels['deployment'] === 'inventory-v2');
  if (v2 === undefined) return { passed: false, evidence: 'inventory-v2 does not run' };
  const catalogs = await shop.pods('shop', 'catalog');
  const served = async (): Promise<number> => (await shop.control<{ served: number }>(v2, '/served')).served;
  const begun = Date.now();
  const failing = await shop.during(async () => {
    await shop.control(v2, '/fail');
    const ejected = (await Promise.all(catalogs.map((c) => isEjectedAt(shop, c, v2.ips[0] ?? '')))).every(Boolean);
    return ejected
      ? 0
      : waitFor(async () => {
          const each = await Promise.all(catalogs.map((c) => isEjectedAt(shop, c, v2.ips[0] ?? '')));
          return each.every(Boolean) ? Date.now() - begun : undefined;
        }, 10_000);
  });
  await sleep(300); // answers that were on their way when the last agent ejected it
  const calm = await shop.during(() => sleep(1500));
  await shop.control(v2, '/heal');
  const atHeal = await served();
  const healedAt = Date.now();
  const back = await waitFor(
    async () => ((await served()) > atHeal + 5 ? Date.now() - healedAt : undefined),
    30_000,
    250,
  );
  const after = await shop.during(() => sleep(1000));
  return {
    passed:
      failing.value !== undefined &&
      failing.failed > 0 &&
      calm.failed === 0 &&
      calm.sent > 20 &&
      back !== undefined &&
      after.failed === 0,
    evidence: `ejected by both catalogs after ${failing.value ?? '-'} ms and ${failing.failed} failed requests; then ${calm.sent - calm.failed} of ${calm.sent} succeed; back in rotation ${back ?? 'never'} ms after it healed, ${after.sent - after.failed} of ${after.sent} succeed`,
  };
}

async function certificatesRotate(shop: Shop, rotation: RotationWatch): Promise<Outcome> {
  rotation.mark();
  const window = await shop.during(() => waitFor(async () => (rotation.fewest() >= 2 ? true : undefined), 60_000, 500));
  return {
    passed: rotation.fewest() >= 2 && window.failed === 0 && window.sent > 100,
    evidence: `${rotation.describe()}; ${window.sent} requests meanwhile, ${window.failed} failed${window.reasons.length > 0 ? `: ${window.reasons.join('; ')}` : ''}`,
  };
}

async function isConnected(shop: Shop, pod: DevPod): Promise<boolean> {
  const ref = { namespace: pod.namespace, pod: pod.name };
  const page = await shop.dev.proxy(ref, 'admin', '/stats?filter=^control_plane.connected_state$');
  return page.body.trim() === 'control_plane.connected_state: 1';
}

async function controlPlaneMayDie(shop: Shop): Promise<Outcome> {
  const pids = async (): Promise<readonly number[]> => {
    const { components } = await shop.dev.status();
    return components.filter((c) => c.name === 'control' || c.name === 'ca').map((c) => c.pid ?? 0);
  };
  const before = await pids();
  const window = await shop.during(async () => {
    await Promise.all([shop.dev.component('control', 'kill', 3000), shop.dev.component('ca', 'kill', 3000)]);
    const killedAt = Date.now();
    return waitFor(async () => {
      const now = await pids();
      const back = now.length === 2 && now.every((pid) => pid > 0 && !before.includes(pid));
      if (!back) return undefined;
      const connected = await Promise.all((await shop.pods('shop')).map((p) => isConnected(shop, p)));
      return connected.every(Boolean) ? Date.now() - killedAt : undefined;
    }, 30_000);
  });
  const after = await pids();
  const renewed = after.length === 2 && after.every((pid) => pid > 0 && !before.includes(pid));
  return {
    passed: window.value !== undefined && renewed && window.failed === 0 && window.sent > 50,
    evidence: `control and CA killed (pids ${before.join(', ')}), away for 3 s, back (pids ${after.join(', ')}); all agents connected again ${window.value ?? 'never, or too late: '} ms after the kill; ${window.sent} requests meanwhile, ${window.failed} failed${window.reasons.length > 0 ? `: ${window.reasons.join('; ')}` : ''}`,
  };
}

interface Poll {
  readonly seenAt: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly error: string;
}

async function policyTakesEffectAtOnce(shop: Shop): Promise<Outcome> {
  const web = await shop.pod('shop', 'web');
  const poll = (status: string): Promise<Poll> =>
    shop.execJson<Poll>(web, ['node', '/app/poll.ts', 'catalog', '8080', 'POST', '/items', status, '10000']);
  const change = async (status: string, from: string, to: string): Promise<{ poll: Poll; tookMs: number }> => {
    const polling = poll(status);
    await sleep(700);
    edit(shop, from, to);
    const at = Date.now();
    const result = await polling;
    return { poll: result, tookMs: result.seenAt === 0 ? Number.POSITIVE_INFINITY : result.seenAt - at };
  };
  const closed = 'principal: { serviceAccounts: [shop/web] }\n        operation: { methods: [GET] }';
  const open = closed.replace('[GET]', '[GET, POST]');
  const window = await shop.during(async () => [await change('201', closed, open), await change('403', open, closed)]);
  const results = window.value;
  return {
    passed:
      results.every((r) => r.tookMs >= 0 && r.tookMs < 2000 && r.poll.connections === 1 && r.poll.error === '') &&
      window.failed === 0,
    evidence: `POST allowed after ${results[0]?.tookMs} ms, forbidden again after ${results[1]?.tookMs} ms, on ${results.map((r) => r.poll.connections).join(' and ')} connection(s) (answers ${results.map((r) => JSON.stringify(r.poll.statuses)).join(', ')}); ${window.sent} other requests meanwhile, ${window.failed} failed`,
  };
}

export const claims: readonly Claim[] = [
  { id: '1-identity', claim: 'every pod of shop has an agent and an SVID', check: everyPodHasIdentity },
  {
    id: '2-mutual-tls',
    claim: 'all edges inside shop are mutual TLS, both identities shown',
    check: edgesAreMutualTls,
  },
  {
    id: '3-no-plaintext',
    claim: 'no plaintext HTTP between pods, and the same check finds it under PERMISSIVE',
    check: noPlaintextOnTheWire,
  },
  {
    id: '4-intruder',
    claim: "the intruder's plaintext and self-signed TLS are refused before a byte reaches the app",
    check: intruderIsRefused,
  },
  {
    id: '5-policy',
    claim: 'web may GET catalog, not POST: 403 with the policy named; the intruder may nothing',
    check: policyIsNamed,
  },
  {
    id: '6-ejection',
    claim: 'the failing inventory replica is ejected, success returns to 100 %, it comes back',
    check: failingReplicaIsEjected,
  },
  {
    id: '7-rotation',
    claim: 'certificates rotate at least twice under load without one failed request',
    check: certificatesRotate,
  },
  {
    id: '8-control-plane',
    claim: 'killing and restarting control plane and CA under load fails no request',
    check: controlPlaneMayDie,
  },
  {
    id: '9-live-policy',
    claim: 'a changed policy file takes effect in under 2 s without a dropped connection',
    check: policyTakesEffectAtOnce,
  },
];
