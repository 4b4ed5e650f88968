/** What a running proxy costs, read from /proc: processor time of all its threads and children, and its memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import process from 'node:process';

export interface Memory {
  readonly rssKb: number;
  /** Pages that no other process can share: what one more pod really takes. */
  readonly anonymousKb: number;
}

/** The process and its descendants (nginx works in a child). */
export function family(pid: number): number[] {
  const children = fs
    .readdirSync(`/proc/${pid}/task`)
    .flatMap((t) => fs.readFileSync(`/proc/${pid}/task/${t}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
  return [pid, ...children.flatMap(family)];
}

export interface CpuSeconds {
  readonly all: number;
  /** Spent in the kernel, to a tick of 10 ms. */
  readonly kernel: number;
}

/** Processor time of all threads that live: from the scheduler, as ticks are coarse, and what the kernel had in ticks. */
export function cpuSeconds(pid: number): CpuSeconds {
  const threads = family(pid).flatMap((p) => fs.readdirSync(`/proc/${p}/task`).map((t) => `/proc/${p}/task/${t}`));
  return { all: sumOf(threads, nanoseconds) / 1e9, kernel: sumOf(threads, kernelTicks) / 100 };
}

const sumOf = (threads: readonly string[], of: (thread: string) => number): number =>
  threads.reduce((sum, thread) => sum + of(thread), 0);

const nanoseconds = (thread: string): number => Number(fs.readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0]);

/** Field 15 of proc(5)'s stat, counted behind the name, which may have blanks. */
const kernelTicks = (thread: string): number =>
  Number(fs.readFileSync(`${thread}/stat`, 'utf8').split(') ')[1]?.split(' ')[12] ?? 0);

export function memory(pid: number): Memory {
  const sum = { rssKb: 0, anonymousKb: 0 };
  for (const p of family(pid)) {
    const status = fs.readFileSync(`/proc/${p}/status`, 'utf8');
    const kb = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    sum.rssKb += kb('VmRSS');
    sum.anonymousKb += kb('RssAnon');
  }
  return sum;
}

const started = new Set<ChildProcess>();
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Ends with this process, however that ends but by SIGKILL: what is left would take its processor from the next bench. */
export function endWithUs(child: ChildProcess): void {
  if (started.size === 0) {
    process.on('exit', () => {
      for (const one of started) killFamily(one);
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(exitCodes[signal]));
  }
  started.add(child);
}

/** Starts a program pinned to one processor; its output goes to a file that a failure message can quote. */
export function startPinned(cpu: number, command: readonly string[], log: string): ChildProcess {
  fs.mkdirSync(path.dirname(log), { recursive: true });
  const out = fs.openSync(log, 'w');
  const child = spawn('taskset', ['-c', String(cpu), ...command], { stdio: ['ignore', out, out] });
  fs.closeSync(out);
  endWithUs(child);
  return child;
}

/** Whether somebody accepts on the port. */
export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/** Ends the whole family at once: a master that is killed alone leaves its worker behind, with the port. */
export function killFamily(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  for (const pid of family(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it was faster
    }
  }
}

/** Milliseconds until the port accepts; an error with the end of the log when the program dies or takes over 15 s. */
export async function listening(child: ChildProcess, port: number, log: string): Promise<number> {
  const begun = performance.now();
  const failed = (what: string): Error => new Error(`${what}\n${fs.readFileSync(log, 'utf8').slice(-2000)}`);
  for (;;) {
    if (await isTaken(port)) return performance.now() - begun;
    if (child.exitCode !== null) throw failed(`exited with ${child.exitCode} before it listened on ${port}`);
    if (performance.now() - begun > 15_000) throw failed(`does not listen on ${port} after 15 s`);
    await new Promise((r) => setTimeout(r, 10));
  }
}
