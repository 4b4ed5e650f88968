/** A proxy under test as a process: the agent or the real Envoy, with the same file. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import { findEnvoy } from '../bench/envoy.ts';
import type { Group, JsonObject } from './case.ts';
import { configuration } from './configuration.ts';
import { Upstream } from './upstream.ts';

export type ProxyName = 'agent' | 'envoy';

const agentMain = path.resolve(import.meta.dirname, '../../agent/src/main.ts');

/** Command line of a proxy with a configuration file, or why it is absent. */
export function commandOf(name: ProxyName, file: string): readonly string[] | { readonly missing: string } {
  if (name === 'agent') {
    return [process.execPath, '--no-warnings', agentMain, '-c', file, '--concurrency', '1', '-l', 'warning'];
  }
  const envoy = findEnvoy();
  if ('missing' in envoy) return envoy;
  const flags = ['--concurrency', '1', '--disable-hot-restart', '--use-dynamic-base-id', '-l', 'warning'];
  return [envoy.path, '-c', file, ...flags];
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
    socket.once('connect', () => socket.destroy());
  });

/** Ended with this process, whatever becomes of the comparison that started them. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a proxy with a configuration, as startProxy. stem: path of its files, which end in .json and .log. */
export function startConfigured(
  name: ProxyName,
  configured: JsonObject,
  stem: string,
  port: number,
  flags: readonly string[] = [],
): Promise<ChildProcess> {
  const file = `${stem}.json`;
  fs.writeFileSync(file, JSON.stringify(configured));
  const command = commandOf(name, file);
  if ('missing' in command) throw new Error(command.missing);
  return startProxy([...command, ...flags], port, `${stem}.log`);
}

/** Starts a proxy and waits until the port accepts; an error with its output when it ends or takes too long. */
export async function startProxy(command: readonly string[], port: number, log: string): Promise<ChildProcess> {
  const out = fs.openSync(log, 'w');
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', out, out] });
  fs.closeSync(out);
  running.add(child);
  child.once('exit', () => running.delete(child));
  const end = Date.now() + 20_000;
  while (!(await canConnect(port))) {
    if (child.exitCode !== null || Date.now() > end) {
      child.kill('SIGKILL');
      throw new Error(`${program} does not listen on ${port}:\n${fs.readFileSync(log, 'utf8').slice(-3000)}`);
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  return child;
}

export async function endProxy(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await gone;
}

export class Candidate {
  readonly name: ProxyName;
  readonly upstream: Upstream;
  readonly #child: ChildProcess;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #admin: number;

  private constructor(
    name: ProxyName,
    upstream: Upstream,
    child: ChildProcess,
    ports: ReadonlyMap<string, number>,
    admin: number,
  ) {
    this.name = name;
    this.upstream = upstream;
    this.#child = child;
    this.#ports = ports;
    this.#admin = admin;
  }

  static async start(name: ProxyName, groups: readonly Group[], dir: string): Promise<Candidate> {
    const upstream = new Upstream(groups.flatMap((g) => g.cases.map((c) => [`${g.name}/${c.name}`, c] as const)));
    const [admin = 0, dead = 0, ...rest] = await freePorts(groups.length + 2);
    const ports = new Map(groups.map((g, i) => [g.name, rest[i] ?? 0]));
    const listen = (group: string): number => ports.get(group) ?? 0;
    const config = configuration(groups, {
      admin,
      dead,
      upstream: await upstream.listen(),
      http2: await upstream.listenHttp2(),
      listen,
    });
    const child = await startConfigured(name, config, path.join(dir, name), rest.at(-1) ?? admin);
    return new Candidate(name, upstream, child, ports, admin);
  }

  port(group: string): number {
    return this.#ports.get(group) ?? 0;
  }

  /** Counters and gauges by name. */
  async stats(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://127.0.0.1:${this.#admin}/stats?format=json`);
    const { stats } = (await response.json()) as { stats: readonly { name?: string; value?: number }[] };
    return new Map(stats.flatMap((s) => (s.name === undefined || s.value === undefined ? [] : [[s.name, s.value]])));
  }

  async stop(): Promise<void> {
    await endProxy(this.#child);
    this.upstream.close();
  }
}
