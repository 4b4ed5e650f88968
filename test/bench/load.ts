/** Drives one running proxy for a while and reads what that cost: wrk for as much as it takes, paced.ts for a rate. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Paced } from './paced.ts';
import { loadCpu, type Running } from './peers.ts';
import { cpuSeconds } from './process.ts';
import type { Row } from './rows.ts';

/** What of a row says how it is driven. */
export type Drive = Pick<Row, 'drive' | 'path' | 'close' | 'beside'>;

export interface Sample {
  readonly cpuUs: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

type Load = Omit<Sample, 'cpuUs'> & { readonly requests: number };

const run = promisify(execFile);
const pin = ['-c', String(loadCpu)];
const pacedRate = 1000;
const pacedConnections = 64;
const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };

/** Processor time is of all hops; where other connections are served besides, it is theirs too. */
export async function drive(running: Running, row: Drive, seconds: number): Promise<Sample> {
  const cpu = (): number => running.processes.reduce((sum, p) => sum + cpuSeconds(p.pid ?? 0), 0);
  const others = row.beside === null ? null : fetchAllTheTime(running.port, row.beside, seconds + 1);
  const before = cpu();
  const { requests, ...load } = await (row.drive === 'paced'
    ? paced(running.port, row.path, seconds)
    : saturate(running.port, row, seconds));
  const used = cpu() - before;
  others?.kill('SIGKILL');
  return { cpuUs: (used / requests) * 1e6, ...load };
}

function fetchAllTheTime(port: number, of: string, seconds: number): ChildProcess {
  const wrk = ['wrk', '-t1', '-c4', `-d${seconds}s`, `http://127.0.0.1:${port}${of}`];
  return spawn('taskset', [...pin, ...wrk], { stdio: 'ignore' });
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

async function paced(port: number, of: string, seconds: number): Promise<Load> {
  const script = path.join(import.meta.dirname, 'paced.ts');
  const args = [script, String(port), of, String(pacedRate), String(seconds), String(pacedConnections)];
  const { stdout } = await run('taskset', [...pin, process.execPath, '--no-warnings', ...args]);
  const result = JSON.parse(stdout) as Paced;
  return { ...result, rps: result.requests / seconds };
}
