/**
 * `npm run bench [-- --seconds N --rounds N --json FILE --row NAME | --memory]`: the agent beside nginx, haproxy and Envoy on
 * one processor, the same requests, in rotation, so that a machine whose speed drifts is fair to all. Ratios are the
 * result; absolute figures are printed only to make them checkable.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { makeCertificates } from './certificates.ts';
import { drive, type Sample } from './load.ts';
import { printMemory } from './memory.ts';
import { type BenchPlace, findPeers, loadCpu, type Peer, type Running, start, stop } from './peers.ts';
import { killFamily, listening, memory, startPinned } from './process.ts';
import { type Row, rows } from './rows.ts';

const flags = {
  seconds: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '5' },
  json: { type: 'string' },
  row: { type: 'string' },
  peers: { type: 'string', default: 'agent,base,nginx,haproxy,envoy' },
  base: { type: 'string' },
  memory: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function misuse(message: string): never {
  console.error(`bench: ${message}\n  npm run bench -- --help lists the flags`);
  process.exit(2);
}

function readArgs() {
  try {
    return parseArgs({ options: flags }).values;
  } catch (error) {
    return misuse(error instanceof Error ? error.message : String(error));
  }
}

const args = readArgs();
for (const flag of ['seconds', 'rounds'] as const) {
  if (!(Number(args[flag]) > 0)) misuse(`--${flag} ${args[flag]} is not a number above 0`);
}
if (args.help) {
  console.log(
    'npm run bench [-- --seconds 2 --rounds 5 --row TEXT --peers agent,nginx,haproxy,envoy --base DIR --memory --json FILE]\n' +
      '--base: another clone of this repository, whose agent runs beside ours.\nRows:',
  );
  for (const r of rows) console.log(`  ${r.name}`);
  process.exit(0);
}

const bodies: Readonly<Record<string, number>> = { '64k': 65_536, '1m': 1_048_576, '10m': 10_485_760 };

function upstreamConfig(dir: string, port: number): string {
  for (const [name, bytes] of Object.entries(bodies)) fs.writeFileSync(path.join(dir, name), 'x'.repeat(bytes));
  const file = path.join(dir, 'upstream.conf');
  fs.writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${dir}/upstream.pid; error_log ${dir}/upstream.err; user root;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 1000000000; sendfile on;
  server { listen 127.0.0.1:${port} reuseport; location / { return 200 "hello from upstream\\n"; } root ${dir};
    ${Object.keys(bodies)
      .map((name) => `location = /${name} {}`)
      .join(' ')} } }
`,
  );
  return file;
}

const median = (list: readonly number[]): number => {
  const s = [...list].sort((a, b) => a - b);
  return s[Math.floor(s.length / 2)] ?? Number.NaN;
};

interface Result {
  readonly peer: string;
  readonly samples: readonly Sample[];
  readonly startMs: number;
  readonly rssMb: number;
  readonly anonymousMb: number;
}

/** All peers of a row, started together, driven in turn for some rounds after a warm-up of each. */
async function runRow(
  row: Row,
  peers: readonly Peer[],
  place: BenchPlace,
  rounds: number,
  seconds: number,
): Promise<Result[]> {
  const running: Running[] = [];
  try {
    for (const peer of peers.filter((p) => row.peers.includes(p.name))) {
      running.push(await start(peer, row.roles, row.rich, place));
    }
    // Under full load, so that what is measured is compiled code, as in a sidecar that has run for a while.
    for (const r of running) await drive(r, { ...row, drive: 'saturate', beside: null }, 2);
    for (const r of running) await drive(r, row, 1);
    const samples = new Map<string, Sample[]>(running.map((r) => [r.peer, []]));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < running.length; i++) {
        const r = running[(i + round) % running.length];
        if (r !== undefined) samples.get(r.peer)?.push(await drive(r, row, seconds));
      }
    }
    return running.map((r) => {
      const mem = r.processes.map((p) => memory(p.pid ?? 0));
      const mb = (pick: (m: (typeof mem)[number]) => number): number => Math.max(...mem.map(pick)) / 1024;
      return {
        peer: r.peer,
        samples: samples.get(r.peer) ?? [],
        startMs: r.startMs,
        rssMb: mb((m) => m.rssKb),
        anonymousMb: mb((m) => m.anonymousKb),
      };
    });
  } finally {
    for (const r of running) stop(r);
  }
}

/** The ratio agent/peer, round by round, so that both sides of each ratio saw the same machine. */
function ratio(agent: Result, peer: Result, of: (s: Sample) => number): number {
  return median(agent.samples.map((s, i) => of(s) / of(peer.samples[i] ?? s)));
}

function print(row: Row, results: readonly Result[]): void {
  const agent = results.find((r) => r.peer === 'agent');
  console.log(`\n${row.name}`);
  console.log(
    '            cpu us/req   agent/peer      p50 ms   a/p     p99 ms   a/p     RSS MB  anon MB  start ms  errors',
  );
  for (const r of results) {
    const m = (of: (s: Sample) => number): number => median(r.samples.map(of));
    const a = (of: (s: Sample) => number): string => (agent === undefined ? '-' : ratio(agent, r, of).toFixed(2));
    const errors = r.samples.reduce((sum, s) => sum + s.errors, 0);
    console.log(
      `  ${r.peer.padEnd(9)} ${m((s) => s.cpuUs)
        .toFixed(1)
        .padStart(10)} ${a((s) => s.cpuUs).padStart(12)} ` +
        `${m((s) => s.p50Ms)
          .toFixed(2)
          .padStart(11)} ${a((s) => s.p50Ms).padStart(5)} ${m((s) => s.p99Ms)
          .toFixed(2)
          .padStart(10)} ` +
        `${a((s) => s.p99Ms).padStart(5)} ${r.rssMb.toFixed(0).padStart(10)} ${r.anonymousMb.toFixed(0).padStart(8)} ${r.startMs.toFixed(0).padStart(9)} ${String(errors).padStart(7)}`,
    );
  }
}

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-bench-'));
fs.chmodSync(dir, 0o755);
let port = 18_000;
const certs = makeCertificates(dir);
for (const who of ['client', 'server'] as const) {
  fs.writeFileSync(
    path.join(dir, `${who}.pem`),
    fs.readFileSync(certs[who].cert, 'utf8') + fs.readFileSync(certs[who].key, 'utf8'),
  );
}
const place: BenchPlace = { dir, certs, upstream: port++, nextPort: () => port++ };
const wanted = args.peers.split(',');
const found = findPeers(
  (line) => console.log(line),
  () => port++,
  args.base ?? null,
);
const peers = found.filter((p) => wanted.includes(p.name));
for (const tool of ['wrk', 'nginx', 'taskset']) {
  if (!fs.existsSync(`/usr/bin/${tool}`) && !fs.existsSync(`/usr/sbin/${tool}`)) {
    console.error(`bench: ${tool} is missing; install it:  apt-get install -y wrk nginx-light haproxy util-linux`);
    process.exit(1);
  }
}
const log = path.join(dir, 'upstream.log');
const upstream = startPinned(loadCpu, ['nginx', '-c', upstreamConfig(dir, place.upstream)], log);
process.on('exit', () => {
  killFamily(upstream);
  fs.rmSync(dir, { recursive: true, force: true });
});
process.on('SIGINT', () => process.exit(130));
await listening(upstream, place.upstream, log);
if (args.memory) {
  const costs = await printMemory(peers, place, Number(args.rounds));
  if (args.json !== undefined) fs.writeFileSync(args.json, JSON.stringify(costs, null, 2));
  process.exit(0);
}
const all: Record<string, readonly Result[]> = {};
for (const row of rows.filter((r) => args.row === undefined || r.name.includes(args.row))) {
  const results = await runRow(row, peers, place, Number(args.rounds), Number(args.seconds));
  all[row.name] = results;
  print(row, results);
}
if (args.json !== undefined) fs.writeFileSync(args.json, JSON.stringify(all, null, 2));
process.exit(0);
