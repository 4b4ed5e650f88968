/** Drives one running proxy for a while and reads what that cost: wrk for as much as it takes, paced.ts for a rate. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Paced } from './paced.ts';
import { loadCpu, type Running } from './peers.ts';
import { variedPaths } from './place.ts';
import { type CpuSeconds, cpuSeconds, endWithUs } from './process.ts';
import type { Http2Drive, Row } from './rows.ts';

/** What of a row says how it is driven. */
export type Drive = Pick<Row, 'drive' | 'path' | 'close' | 'beside' | 'http2'>;

export interface Sample {
  readonly cpuUs: number;
  /** What of it the kernel took: sockets, for the most part, which cost every proxy the same. */
  readonly kernelUs: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

type Load = Omit<Sample, 'cpuUs' | 'kernelUs'> & { readonly requests: number };

const execute = promisify(execFile);

function run(command: string, args: readonly string[], options: { readonly maxBuffer?: number } = {}) {
  const done = execute(command, [...args], { ...options, encoding: 'utf8' });
  endWithUs(done.child);
  return done;
}
const pin = ['-c', String(loadCpu)];
const pacedRate = 1000;
const pacedConnections = 64;
const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };

/**
 * Processor time is of all hops; where other connections are served besides, it is theirs too. Access logs are emptied
 * afterwards: on a virtual machine a page of memory that was never touched costs more than the line that is written to
 * it, and that would be the same for every peer, whatever it does itself.
 */
export async function drive(running: Running, row: Drive, seconds: number): Promise<Sample> {
  const cpu = (): readonly CpuSeconds[] => running.processes.map((p) => cpuSeconds(p.pid ?? 0));
  const others = row.beside === null ? null : fetchAllTheTime(running.port, row.beside, seconds + 1);
  const before = cpu();
  const { requests, ...load } = await (row.drive === 'paced'
    ? paced(running.port, row.path, seconds)
    : row.http2 === null
      ? saturate(running.port, row, seconds)
      : saturateHttp2(running.port, row.path, row.http2, seconds));
  const after = cpu();
  others?.kill('SIGKILL');
  for (const log of running.accessLogs) fs.truncateSync(log);
  const used = (of: keyof CpuSeconds): number =>
    after.reduce((sum, now, i) => sum + now[of] - (before[i]?.[of] ?? 0), 0);
  return { cpuUs: (used('all') / requests) * 1e6, kernelUs: (used('kernel') / requests) * 1e6, ...load };
}

function fetchAllTheTime(port: number, of: string, seconds: number): ChildProcess {
  const wrk = ['wrk', '-t1', '-c4', `-d${seconds}s`, `http://127.0.0.1:${port}${of}`];
  const child = spawn('taskset', [...pin, ...wrk], { stdio: 'ignore' });
  endWithUs(child);
  return child;
}

async function saturate(port: number, row: Drive, seconds: number): Promise<Load> {
  const header = row.close ? ['-H', 'Connection: close'] : [];
  const wrk = ['wrk', '-t1', '-c64', `-d${seconds}s`, '--latency', ...header, `http://127.0.0.1:${port}${row.path}`];
  const { stdout: out } = await run('taskset', [...pin, ...wrk]);
  const number = (pattern: RegExp): number => Number(pattern.exec(out)?.[1] ?? 0);
  const percentile = (p: number): number => {
    const m = new RegExp(`^\\s+${p}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(out);
    return Number(m?.[1] ?? Number.NaN) * (unitMs[m?.[2] ?? 'ms'] ?? 1);
  };
  return {
    requests: number(/(\d+) requests in/),
    rps: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: percentile(50),
    p99Ms: percentile(99),
    errors: number(/Non-2xx or 3xx responses: (\d+)/) + number(/Socket errors:.*read (\d+)/),
  };
}

let uris = 0;

/** h2load, whose log has the time of each request. */
async function saturateHttp2(port: number, of: string, how: Http2Drive, wanted: number): Promise<Load> {
  const seconds = Math.ceil(wanted); // h2load knows whole ones only
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'h2load-'));
  try {
    const url = `http://127.0.0.1:${port}`;
    const log = path.join(dir, 'log');
    const args = ['-c', String(how.connections), '-m', String(how.streams), '-t', '1', '-D', String(seconds)];
    if (how.grpc) {
      fs.writeFileSync(path.join(dir, 'message'), '\0\0\0\0\x05hello');
      args.push('-d', path.join(dir, 'message'), '-H', 'content-type: application/grpc', '-H', 'te: trailers');
    }
    if (how.paths > 1) {
      const salt = uris++;
      const lines = Array.from({ length: variedPaths }, (_, i) => {
        const turn = (i * 7919) % 99_991;
        const n = how.paths < variedPaths ? turn % how.paths : i;
        return `${url}/v${n}?id=${salt}-${(n * 7919) % 99_991}`;
      });
      fs.writeFileSync(path.join(dir, 'uris'), lines.join('\n'));
      args.push('-i', path.join(dir, 'uris'));
    } else args.push(`${url}${of}`);
    const { stdout } = await run('taskset', [...pin, 'h2load', `--log-file=${log}`, ...args], { maxBuffer: 1 << 24 });
    const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0);
    const times = fs
      .readFileSync(log, 'latin1')
      .split('\n')
      .flatMap((line) => Number(line.split('\t')[2] ?? 0) || []);
    times.sort((a, b) => a - b);
    const at = (share: number): number => (times[Math.floor(times.length * share)] ?? Number.NaN) / 1000;
    const requests = number(/, (\d+) succeeded/);
    const errors = number(/, (\d+) failed/) + number(/ (\d+) 5xx/);
    return { requests, rps: requests / seconds, p50Ms: at(0.5), p99Ms: at(0.99), errors };
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

async function paced(port: number, of: string, seconds: number): Promise<Load> {
  const script = path.join(import.meta.dirname, 'paced.ts');
  const args = [script, String(port), of, String(pacedRate), String(seconds), String(pacedConnections)];
  const { stdout } = await run('taskset', [...pin, process.execPath, '--no-warnings', ...args]);
  const result = JSON.parse(stdout) as Paced;
  return { ...result, rps: result.requests / seconds };
}
