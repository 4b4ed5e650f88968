/**
 * `npm run bench [-- --seconds N --rounds N --json FILE --row NAME | --memory]`: the agent beside nginx, haproxy and Envoy on
 * one processor, the same requests, in rotation, so that a machine whose speed drifts is fair to all. Ratios are the
 * result; absolute figures are printed only to make them checkable.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { makeCertificates } from './certificates.ts';
import type { Role } from './configurations.ts';
import { printMemory } from './memory.ts';
import { type BenchPlace, findPeers, loadCpu, type Peer, type Running, start, stop } from './peers.ts';
import { cpuSeconds, killFamily, listening, memory, startPinned } from './process.ts';

interface Row {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly rich: boolean;
  readonly path: string;
  readonly close: boolean;
  readonly peers: readonly string[];
}

interface Sample {
  readonly cpuUs: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

const everyone = ['agent', 'nginx', 'haproxy', 'envoy'];
const rows: readonly Row[] = [
  { name: 'plain hop, small', roles: ['plain'], rich: false, path: '/', close: false, peers: everyone },
  { name: 'two hops mTLS, small', roles: ['egress', 'ingress'], rich: false, path: '/', close: false, peers: everyone },
  {
    name: 'plain hop, rich',
    roles: ['plain'],
    rich: true,
    path: '/',
    close: false,
    peers: ['agent', 'nginx', 'envoy'],
  },
  {
    name: 'two hops mTLS, rich',
    roles: ['egress', 'ingress'],
    rich: true,
    path: '/',
    close: false,
    peers: ['agent', 'nginx', 'envoy'],
  },
  { name: 'plain hop, 64 KiB', roles: ['plain'], rich: false, path: '/64k', close: false, peers: everyone },
  {
    name: 'two hops mTLS, 64 KiB',
    roles: ['egress', 'ingress'],
    rich: false,
    path: '/64k',
    close: false,
    peers: everyone,
  },
  { name: 'plain hop, Connection: close', roles: ['plain'], rich: false, path: '/', close: true, peers: everyone },
];

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
    row: { type: 'string' },
    peers: { type: 'string', default: everyone.join(',') },
    memory: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (args.help) {
  console.log(
    'npm run bench [-- --seconds 2 --rounds 5 --row TEXT --peers agent,nginx,haproxy,envoy --memory --json FILE]\nRows:',
  );
  for (const r of rows) console.log(`  ${r.name}`);
  process.exit(0);
}

function upstreamConfig(dir: string, port: number): string {
  fs.writeFileSync(path.join(dir, '64k'), 'x'.repeat(65_536));
  const file = path.join(dir, 'upstream.conf');
  fs.writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${dir}/upstream.pid; error_log ${dir}/upstream.err; user root;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 1000000000; sendfile on;
  server { listen 127.0.0.1:${port} reuseport; location / { return 200 "hello from upstream\\n"; } location = /64k { root ${dir}; } } }
`,
  );
  return file;
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };

/** Drives one proxy with wrk for the given time and reads what it cost. */
function drive(running: Running, row: Row, seconds: number): Sample {
  const pids = running.processes.map((p) => p.pid ?? 0);
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const header = row.close ? ['-H', 'Connection: close'] : [];
  const before = cpu();
  const out = execFileSync(
    'taskset',
    [
      '-c',
      String(loadCpu),
      'wrk',
      '-t1',
      '-c64',
      `-d${seconds}s`,
      '--latency',
      ...header,
      `http://127.0.0.1:${running.port}${row.path}`,
    ],
    { encoding: 'utf8' },
  );
  const used = cpu() - before;
  const number = (pattern: RegExp): number => Number(pattern.exec(out)?.[1] ?? 0);
  const percentile = (p: number): number => {
    const m = new RegExp(`^\\s+${p}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(out);
    return Number(m?.[1] ?? Number.NaN) * (unitMs[m?.[2] ?? 'ms'] ?? 1);
  };
  const requests = number(/(\d+) requests in/);
  const errors = number(/Non-2xx or 3xx responses: (\d+)/) + number(/Socket errors:.*read (\d+)/);
  return {
    cpuUs: (used / requests) * 1e6,
    rps: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: percentile(50),
    p99Ms: percentile(99),
    errors,
  };
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
    for (const r of running) drive(r, row, 1);
    const samples = new Map<string, Sample[]>(running.map((r) => [r.peer, []]));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < running.length; i++) {
        const r = running[(i + round) % running.length];
        if (r !== undefined) samples.get(r.peer)?.push(drive(r, row, seconds));
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
