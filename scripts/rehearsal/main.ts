/**
 * `node scripts/rehearsal/main.ts BUNDLE FLAG...`: lets the agent of a bundle serve some requests, with Node's flags as
 * they are later, and leaves the code that V8 made of it in the bundle. On loopback, without privileges.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { execPath } from 'node:process';
import { freePorts } from '../../lib/runtime/src/testing/free-ports.ts';
import { configuration } from './configuration.ts';
import { makeIdentity } from './identities.ts';
import { drive, startApps } from './traffic.ts';

const deadlineMs = 30_000;
const lookEveryMs = 20;
const codes = ['main.cache', 'worker-entry.cache'];

function answers(port: number): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket
      .once('error', () => resolve(false))
      .once('connect', () => {
        socket.destroy();
        resolve(true);
      });
  });
}

/** A copy of the bundle whose loader keeps what it has compiled. */
function copyThatKeeps(bundle: string, dir: string): string {
  const copy = path.join(dir, 'bundle');
  fs.cpSync(bundle, copy, { recursive: true });
  for (const code of codes) fs.rmSync(path.join(copy, code), { force: true });
  fs.renameSync(path.join(copy, 'load.js'), path.join(copy, 'load-as-ever.js'));
  fs.copyFileSync(path.join(import.meta.dirname, 'keep-code.cjs'), path.join(copy, 'load.js'));
  return copy;
}

interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  /** What it has said so far. */
  readonly said: () => string;
}

function startAgent(args: readonly string[]): Running {
  const process = spawn(execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  process.stderr.on('data', (text: Buffer) => {
    said += text;
  });
  return { process, ended: once(process, 'exit'), said: () => said.trim() };
}

async function untilItServes({ process, said }: Running, port: number): Promise<void> {
  while (!(await answers(port))) {
    if (process.exitCode !== null || process.signalCode !== null) throw new Error(`the agent has ended: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

async function rehearse(bundle: string, flags: readonly string[], dir: string): Promise<void> {
  const copy = copyThatKeeps(bundle, dir);
  const apps = await startApps();
  const [admin = 0, egress = 0, ingress = 0] = await freePorts(3);
  const ports = { admin, egress, ingress, http1App: apps.http1Port, grpcApp: apps.grpcPort };
  const file = path.join(dir, 'bootstrap.json');
  fs.writeFileSync(file, configuration(ports, await makeIdentity(dir), dir));
  const agent = startAgent([...flags, path.join(copy, 'main.js'), '-c', file, '--concurrency', '1', '-l', 'warning']);
  const limit = setTimeout(() => agent.process.kill('SIGKILL'), deadlineMs);
  try {
    await untilItServes(agent, egress);
    await drive(egress);
    agent.process.kill('SIGTERM');
    await agent.ended;
  } finally {
    clearTimeout(limit);
    agent.process.kill('SIGKILL');
    apps.close();
  }
  for (const code of codes) fs.copyFileSync(path.join(copy, code), path.join(bundle, code));
}

const [bundle, ...flags] = process.argv.slice(2);
if (bundle === undefined) throw new Error('usage: node scripts/rehearsal/main.ts BUNDLE FLAG...');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-rehearsal-'));
try {
  await rehearse(bundle, flags, dir);
} catch (error) {
  process.stderr.write(`rehearsal: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}
