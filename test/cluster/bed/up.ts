/** Starts everything inside the namespaces and waits until Services answer. Runs in the bed's network namespace. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { plan } from './address-plan.ts';
import * as daemons from './daemons.ts';
import { makeKeys } from './pki.ts';

const run = promisify(execFile);

export interface Ground {
  readonly work: string;
  readonly cgroup: string;
  /** PID 1 of the bed. */
  readonly pid: number;
}

const groundFile = (work: string): string => path.join(work, 'ground.json');

/** Of a bed that another process brought up. */
export function groundOf(work: string): Ground {
  return JSON.parse(fs.readFileSync(groundFile(work), 'utf8'));
}

/** Runs a command in the bed's pid and mount namespaces; the network namespace is this process's own. */
const enter = ({ pid }: Ground, command: readonly string[]): readonly string[] => [
  'nsenter',
  '-t',
  String(pid),
  '-n',
  '-m',
  '-p',
  '--',
  ...command,
];

/** Kills the API server and starts it again; resolves once it is ready. What it served is in etcd. */
export async function restartApiServer(ground: Ground): Promise<void> {
  const [program = '', ...args] = enter(ground, ['pkill', '-9', '-x', 'kube-apiserver']);
  await run(program, args);
  const api = new ReadyApi(`${ground.work}/pki`);
  // A process that was killed holds its port until the kernel has taken it apart.
  await poll(deadlineMs, 'the end of kube-apiserver', () => api.isRefused('127.0.0.1', 6443));
  start(ground, 'kube-apiserver', daemons.apiServer(ground.work));
  await until(ground, 'kube-apiserver', () => api.ok('127.0.0.1:6443', '/readyz'));
}

/** @throws Error naming what did not come up, with the end of its log */
export async function bringUp(ground: Ground, say: (text: string) => void): Promise<void> {
  const { work, cgroup } = ground;
  fs.writeFileSync(groundFile(work), JSON.stringify(ground));
  const prepare = path.join(import.meta.dirname, 'prepare.sh');
  const [program = '', ...args] = enter(ground, ['sh', prepare, work, plan.nodeNetwork, plan.gateway, cgroup]);
  await Promise.all([run(program, args), makeKeys(`${work}/pki`)]);
  writeRegistryHosts(work);
  start(ground, 'registry', [process.execPath, '--no-warnings', registryProgram(), `${work}/images/layout`]);
  start(ground, 'containerd', daemons.containerd(work));
  const imported = importImages(work);
  start(ground, 'etcd', daemons.etcd(work));
  start(ground, 'kube-apiserver', daemons.apiServer(work));
  const api = new ReadyApi(`${work}/pki`);
  await until(ground, 'kube-apiserver', () => api.ok('127.0.0.1:6443', '/readyz'));
  say('API server ready');
  start(ground, 'kube-controller-manager', daemons.controllerManager(work));
  start(ground, 'kube-scheduler', daemons.scheduler(work));
  start(ground, 'kubelet', daemons.kubelet(work, cgroup, hardLimitOfFiles()));
  start(ground, 'kube-proxy', daemons.kubeProxy(work));
  await run(`${work}/bin/kubectl`, ['--kubeconfig', `${work}/pki/admin.kubeconfig`, 'apply', '-f', dnsObjects()]);
  start(ground, 'coredns', daemons.coreDns(work));
  await imported;
  say('images imported');
  await until(ground, 'kubelet', () => api.isNodeReady());
  await until(ground, 'kube-controller-manager', () =>
    api.ok('127.0.0.1:6443', '/api/v1/namespaces/default/serviceaccounts/default'),
  );
  // Its own health is well before there are rules.
  await until(ground, 'kube-proxy', () => api.ok(plan.apiService, '/readyz'));
  await until(ground, 'coredns', async () => (await fetch('http://127.0.0.1:8181/ready')).ok);
}

const registryProgram = (): string => path.join(import.meta.dirname, 'registry-main.ts');
const dnsObjects = (): string => path.join(import.meta.dirname, 'dns.yaml');

/** containerd is told nothing but where each registry is. */
function writeRegistryHosts(work: string): void {
  for (const registry of ['chainmail.dev', 'chainmail.test']) {
    const dir = `${work}/etc/certs.d/${registry}`;
    fs.mkdirSync(dir, { recursive: true });
    const mirror = `http://${plan.nodeIp}:${plan.registryPort}`;
    fs.writeFileSync(
      `${dir}/hosts.toml`,
      `server = "${mirror}"\n[host."${mirror}"]\n  capabilities = ["pull", "resolve"]\n`,
    );
  }
}

async function importImages(work: string): Promise<void> {
  const socket = `${work}/run/containerd/containerd.sock`;
  await poll(30_000, 'containerd', () => Promise.resolve(fs.existsSync(socket)));
  await run('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', `${work}/images/layout.tar`]);
}

/** A session of its own: neither Ctrl-C nor the end of this process reaches it, only the end of the namespaces. */
function start(ground: Ground, name: string, command: readonly string[]): void {
  const log = fs.openSync(`${ground.work}/log/${name}.log`, 'a');
  const [program = '', ...args] = enter(ground, command);
  const child = spawn(program, args, {
    stdio: ['ignore', log, log],
    detached: true,
    env: { ...process.env, HOME: ground.work, PATH: `${ground.work}/bin:${process.env['PATH']}:/usr/sbin:/sbin` },
  });
  child.unref();
  fs.closeSync(log);
}

const deadlineMs = 120_000;

async function until(ground: Ground, component: string, holds: () => Promise<boolean>): Promise<void> {
  try {
    await poll(deadlineMs, component, holds);
  } catch (error) {
    const log = fs.readFileSync(`${ground.work}/log/${component}.log`, 'utf8').trimEnd().split('\n').slice(-20);
    throw new Error(`${component} did not come up\n${log.join('\n')}`, { cause: error });
  }
}

/** For what has no way to say that it is ready. */
async function poll(forMs: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + forMs;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > end) throw new Error(`${what}: not ready in ${forMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What kubelet may give to a container. */
function hardLimitOfFiles(): number {
  return Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }));
}

/** Cheap questions to the API server, as its administrator. */
class ReadyApi {
  readonly #agent: https.Agent;

  constructor(pki: string) {
    this.#agent = new https.Agent({
      ca: fs.readFileSync(`${pki}/ca.crt`),
      cert: fs.readFileSync(`${pki}/admin.crt`),
      key: fs.readFileSync(`${pki}/admin.key`),
    });
  }

  async ok(host: string, url: string): Promise<boolean> {
    return (await this.#get(host, url)).status === 200;
  }

  /** Nobody listens there. */
  isRefused(host: string, port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = net.connect({ host, port }, () => {
        socket.destroy();
        resolve(false);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    });
  }

  async isNodeReady(): Promise<boolean> {
    const { status, text } = await this.#get('127.0.0.1:6443', `/api/v1/nodes/${plan.nodeName}`);
    if (status !== 200) return false;
    const conditions: readonly { readonly type: string; readonly status: string }[] =
      JSON.parse(text).status.conditions;
    return conditions.some((c) => c.type === 'Ready' && c.status === 'True');
  }

  #get(host: string, url: string): Promise<{ readonly status: number; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const request = https.get(`https://${host}${url}`, { agent: this.#agent, timeout: 2000 }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', reject);
    });
  }
}
