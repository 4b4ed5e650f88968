/** The live view: what `meshctl stat` and the agents say, once a second, with a word on what the viewer sees. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Shop, sleep } from './shop.ts';

interface StatRow {
  readonly namespace: string;
  readonly name: string;
  readonly meshed: number;
  readonly pods: number;
  readonly successRate: number | null;
  readonly rps: number | null;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

const explain = `  load -> web -> catalog -> inventory, every arrow mutual TLS between two agents; the applications speak plain HTTP.
  The intruder has no agent: whatever it sends is closed. Certificates live 20 s here and renew at half of that.
  Every minute inventory-v2 fails for 15 s: watch the success rate dip until it is ejected, then return.
  In another terminal:  meshctl edges --name demo    meshctl certs list --name demo    meshctl dev logs ...
  Ctrl-C takes everything down.`;

const ms = (v: number | null): string => (v === null ? '-' : `${v.toFixed(1)} ms`).padStart(9);

function table(
  rows: readonly StatRow[],
  security: ReadonlyMap<string, string>,
  ages: ReadonlyMap<string, string>,
): string {
  const head = `  ${'SERVICE'.padEnd(24)} MESHED  SUCCESS       RPS       P50       P95       P99  MTLS   CERTIFICATE`;
  const lines = rows.map((r) => {
    const key = `${r.namespace}/${r.name}`;
    const success = r.successRate === null ? '-' : `${(r.successRate * 100).toFixed(2)}%`;
    const rps = r.rps === null ? '-' : r.rps.toFixed(1);
    return `  ${key.padEnd(24)} ${`${r.meshed}/${r.pods}`.padStart(6)} ${success.padStart(8)} ${rps.padStart(9)} ${ms(r.p50Ms)} ${ms(r.p95Ms)} ${ms(r.p99Ms)}  ${(security.get(key) ?? '-').padEnd(5)}  ${ages.get(key) ?? '-'}`;
  });
  return [head, ...lines].join('\n');
}

/** Per workload: whether every inbound edge is mutual TLS, and how old the certificate is. */
async function identities(shop: Shop): Promise<{ security: Map<string, string>; ages: Map<string, string> }> {
  const security = new Map<string, string>();
  const ages = new Map<string, string>();
  for (const pod of await shop.pods('shop')) {
    const key = `shop/${pod.labels['deployment'] ?? pod.name}`;
    const [edges, certificate] = await Promise.all([shop.edges(pod), shop.certificate(pod)]);
    const inbound = edges.filter((e) => e.direction === 'inbound');
    if (inbound.length > 0) security.set(key, inbound.every((e) => e.tls !== '' && e.peer !== '') ? 'yes' : 'NO');
    const left = (Date.parse(certificate.expirationTime) - Date.now()) / 1000;
    ages.set(key, `${left.toFixed(0)} s left, serial ${certificate.serial.slice(0, 8)}`);
  }
  return { security, ages };
}

/** Makes inventory-v2 fail for 15 s of each minute, so that there is something to see. */
async function chaos(shop: Shop, note: (text: string) => void, running: () => boolean): Promise<void> {
  while (running()) {
    await sleep(20_000);
    const v2 = (await shop.pods('shop', 'inventory')).find((p) => p.labels['deployment'] === 'inventory-v2');
    if (v2 === undefined || !running()) continue;
    await shop.control(v2, '/fail').catch(() => undefined);
    note('inventory-v2 fails now: five 5xx in a row and it is ejected');
    await sleep(15_000);
    await shop.control(v2, '/heal').catch(() => undefined);
    note('inventory-v2 is healthy again; it gets requests when its ejection ends');
    await sleep(25_000);
  }
}

/** Draws until the process is told to stop. */
export async function liveView(shop: Shop, meshctl: string): Promise<void> {
  let note = 'all is well';
  let running = true;
  const stat = spawn(meshctl, ['stat', '--watch', '-o', 'json', '--name', 'demo'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => stat.on('exit', () => resolve()));
  void chaos(
    shop,
    (text) => {
      note = `${new Date().toLocaleTimeString()}  ${text}`;
    },
    () => running,
  );
  const clear = process.stdout.isTTY ? '\u001b[2J\u001b[H' : '\n';
  createInterface({ input: stat.stdout }).on('line', (line) => {
    const { rows } = JSON.parse(line) as { rows: readonly StatRow[] };
    void identities(shop)
      .then(({ security, ages }) => {
        process.stdout.write(
          `${clear}Chainmail: a shop in a mesh on this machine\n\n${table(rows, security, ages)}\n\n  ${note}\n\n${explain}\n`,
        );
      })
      .catch(() => undefined); // the mesh is going down
  });
  await ended;
  running = false;
}
