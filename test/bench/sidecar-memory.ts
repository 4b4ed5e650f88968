/**
 * `node sidecar-memory.ts AGENT`: what a pod's agent costs with everything that a pod's agent does: a certificate from
 * the real CA, configuration from the real control plane, requests through its inbound listener. Run inside network and
 * mount namespaces of its own, since a sidecar's ports and paths are fixed. Prints one line of JSON.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { agentEnv, defaultTrustDomain, podPaths, ports } from '@chainmail/runtime';
import { Mesh } from '../attacks/mesh.ts';
import { endWithUs, memory } from './process.ts';

export interface SidecarCost {
  /** From the start of the process until /ready says yes: certificate and configuration are there. */
  readonly readyMs: number;
  readonly idle: { readonly rssKb: number; readonly anonymousKb: number };
  readonly loaded: { readonly rssKb: number; readonly anonymousKb: number };
}

/** The pod of Mesh that runs as web. */
const podIp = '10.1.0.5';
const appPort = 8080;
/** What only configuration needed is given back after 3 s of quiet. */
const settleMs = 6_000;
const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

function prepareNamespace(): void {
  ip('link', 'set', 'lo', 'up');
  ip('address', 'add', `${podIp}/32`, 'dev', 'lo');
  const match = ['-p', 'tcp', '-d', podIp, '--dport', String(appPort), '!', '-s', '127.0.0.6'];
  const to = ['-j', 'REDIRECT', '--to-ports', String(ports.agentInbound)];
  execFileSync('iptables', ['-t', 'nat', '-A', 'OUTPUT', ...match, ...to], { stdio: 'pipe' });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run'], { stdio: 'pipe' });
}

function putFiles(mesh: Mesh): void {
  for (const file of [podPaths.token, podPaths.trustBundle]) fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(podPaths.token, mesh.token('web', 'web-1'));
  fs.writeFileSync(podPaths.trustBundle, mesh.bundle);
}

function startAgent(command: string, mesh: Mesh): ChildProcess {
  const env = {
    ...process.env,
    [agentEnv.podName]: 'web-1',
    [agentEnv.podNamespace]: 'shop',
    [agentEnv.podIp]: podIp,
    [agentEnv.podUid]: 'uid-of-web-1',
    [agentEnv.serviceAccount]: 'web',
    [agentEnv.trustDomain]: defaultTrustDomain,
    [agentEnv.controlAddress]: `127.0.0.1:${mesh.controlPort}`,
    [agentEnv.caAddress]: `127.0.0.1:${mesh.caPort}`,
    [agentEnv.logLevel]: 'warn',
  };
  const child = spawn(command, ['sidecar'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  endWithUs(child);
  return child;
}

async function untilReady(child: ChildProcess): Promise<number> {
  const begun = performance.now();
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${ports.agentHealth}/ready`).catch(() => null);
    if (answer?.status === 200) return performance.now() - begun;
    if (child.exitCode !== null) throw new Error(`the agent has ended with ${child.exitCode}`);
    if (performance.now() - begun > 20_000) throw new Error('the agent is not ready after 20 s');
    await sleep(5);
  }
}

async function measure(command: string): Promise<SidecarCost> {
  prepareNamespace();
  const mesh = new Mesh();
  const app = http.createServer((_, response) => response.end('hello from upstream\n')).listen(appPort, podIp);
  let agent: ChildProcess | null = null;
  try {
    await mesh.start();
    putFiles(mesh);
    agent = startAgent(command, mesh);
    const readyMs = await untilReady(agent);
    await sleep(settleMs);
    const idle = memory(agent.pid ?? 0);
    const wrk = ['-t1', '-c64', '-d10s', `http://${podIp}:${appPort}/`];
    const child = spawn('wrk', wrk, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await new Promise((done) => child.on('close', done));
    if (!/\d+ requests in/.test(said) || said.includes('Non-2xx')) throw new Error(`wrk: ${said}`);
    const loaded = memory(agent.pid ?? 0);
    return { readyMs, idle, loaded };
  } finally {
    agent?.kill('SIGKILL');
    app.close();
    await mesh.stop();
  }
}

const [command = ''] = process.argv.slice(2);
console.log(JSON.stringify(await measure(command)));
process.exit(0);
