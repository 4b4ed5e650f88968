/** The real agent as a process of its own, with an Envoy file that the test makes: HTTP in front of one application. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '@chainmail/runtime/testing';

const root = path.resolve(import.meta.dirname, '../..');
const typeOf = (name: string): string => `type.googleapis.com/envoy.${name}`;
type Json = Readonly<Record<string, unknown>>;

export interface AgentSetup {
  readonly appPort: number;
  /** Merged into the HTTP connection manager. */
  readonly manager?: Json;
  /** Rules of an RBAC filter: policies by name. */
  readonly rbac?: { readonly action: 'ALLOW' | 'DENY'; readonly policies: Json };
  /** typed_config of the downstream TLS transport socket. */
  readonly tls?: Json;
  /** Merged into the listener. */
  readonly listener?: Json;
  /** Merged into the filter chain. */
  readonly chain?: Json;
  /** Routes instead of one to the application. */
  readonly routes?: readonly Json[];
  /** Merged into the cluster. */
  readonly cluster?: Json;
  /** Beside the application's. */
  readonly clusters?: readonly Json[];
  /** Merged into static_resources, beside the listener and the cluster. */
  readonly secrets?: readonly Json[];
  /** Descriptors that the process may have. */
  readonly descriptors?: number;
}

const logFields = {
  method: '%REQ(:METHOD)%',
  path: '%REQ(:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
  agent: '%REQ(USER-AGENT)%',
  code: '%RESPONSE_CODE%',
  details: '%RESPONSE_CODE_DETAILS%',
  flags: '%RESPONSE_FLAGS%',
  peer: '%DOWNSTREAM_PEER_URI_SAN%',
  subject: '%DOWNSTREAM_PEER_SUBJECT%',
  sni: '%REQUESTED_SERVER_NAME%',
};

function managerOf(setup: AgentSetup): Json {
  const router = { name: 'router', typed_config: { '@type': typeOf('extensions.filters.http.router.v3.Router') } };
  const rbac = { '@type': typeOf('extensions.filters.http.rbac.v3.RBAC'), rules: setup.rbac };
  const log = {
    '@type': typeOf('extensions.access_loggers.stream.v3.StdoutAccessLog'),
    log_format: { json_format: logFields },
  };
  const routes = setup.routes ?? [{ match: { prefix: '/' }, route: { cluster: 'app' } }];
  return {
    '@type': typeOf('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'attacked',
    // What the control plane sends: policy and application see one path.
    normalize_path: true,
    merge_slashes: true,
    access_log: [{ name: 'stdout', typed_config: log }],
    http_filters: [...(setup.rbac === undefined ? [] : [{ name: 'rbac', typed_config: rbac }]), router],
    route_config: { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes }] },
    ...setup.manager,
  };
}

/** The file for -c, as JSON. */
export function configOf(setup: AgentSetup, port: number): Json {
  const address = (n: number): Json => ({ socket_address: { address: '127.0.0.1', port_value: n } });
  const lbEndpoints = [{ endpoint: { address: address(setup.appPort) } }];
  const chain = {
    filters: [{ name: 'hcm', typed_config: managerOf(setup) }],
    ...(setup.tls === undefined ? {} : { transport_socket: { name: 'tls', typed_config: setup.tls } }),
    ...setup.chain,
  };
  const cluster = {
    name: 'app',
    connect_timeout: '1s',
    load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints: lbEndpoints }] },
    ...setup.cluster,
  };
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: [{ name: 'in', address: address(port), filter_chains: [chain], ...setup.listener }],
      clusters: [cluster, ...(setup.clusters ?? [])],
      ...(setup.secrets === undefined ? {} : { secrets: setup.secrets }),
    },
  };
}

/** A program of node_modules/.bin, ended with the tests. */
export function program(name: string, args: readonly string[], descriptors = 0): ChildProcess {
  const command = path.join(root, 'node_modules/.bin', name);
  // The shell only lowers its own limit and becomes the program.
  const limited = ['-c', `ulimit -n ${descriptors}; exec "$0" "$@"`, command, ...args];
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
  const child = descriptors === 0 ? spawn(command, args, { stdio }) : spawn('/bin/sh', limited, { stdio });
  // A test that crashes leaves nothing behind.
  const end = (): boolean => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
}

export class Agent {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #dir: string;
  stdout = '';
  stderr = '';

  private constructor(port: number, setup: AgentSetup | string) {
    this.port = port;
    this.#dir = fs.mkdtempSync(path.join(os.tmpdir(), 'attack-'));
    const file = path.join(this.#dir, 'envoy.yaml');
    fs.writeFileSync(file, typeof setup === 'string' ? setup : JSON.stringify(configOf(setup, port)));
    const admin = path.join(this.#dir, 'admin');
    const args = ['-c', file, '--concurrency', '1', '--admin-address-path', admin];
    this.#child = program('chainmail-agent', args, typeof setup === 'string' ? 0 : setup.descriptors);
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk);
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
  }

  static async start(setup: AgentSetup): Promise<Agent> {
    const agent = new Agent(await freePort(), setup);
    await agent.#says('"msg":"started"');
    return agent;
  }

  /** Runs it on a text that must not be accepted: exit code and what it said. */
  static async refused(text: string): Promise<{ readonly code: number | null; readonly stderr: string }> {
    const agent = new Agent(0, text);
    const timer = setTimeout(() => agent.#child.kill('SIGKILL'), 20_000);
    await once(agent.#child, 'close');
    clearTimeout(timer);
    fs.rmSync(agent.#dir, { recursive: true });
    return { code: agent.#child.exitCode, stderr: agent.stderr };
  }

  async #says(text: string): Promise<void> {
    while (!this.stderr.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`the agent ended: ${this.stderr}`);
      await Promise.race([once(this.#child.stderr ?? this.#child, 'data'), once(this.#child, 'exit')]);
    }
  }

  get adminPort(): number {
    return Number(fs.readFileSync(path.join(this.#dir, 'admin'), 'utf8').split(':').at(-1));
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resident memory in bytes. */
  rss(): number {
    const status = fs.readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }

  /** How long its workers were ready to run and got no processor, in milliseconds since their start. */
  starvedMs(): number {
    const tasks = `/proc/${this.#child.pid}/task`;
    const read = (task: string, file: string): string => fs.readFileSync(`${tasks}/${task}/${file}`, 'utf8');
    const workers = fs.readdirSync(tasks).filter((task) => read(task, 'comm').startsWith('worker-'));
    return workers.reduce((sum, task) => sum + Number(read(task, 'schedstat').split(' ')[1]) / 1e6, 0);
  }

  async admin(target: string, init: RequestInit = {}): Promise<{ readonly status: number; readonly body: string }> {
    const response = await fetch(`http://127.0.0.1:${this.adminPort}${target}`, init);
    return { status: response.status, body: await response.text() };
  }

  /** Access-log lines, once there are n; each must be JSON, or this throws. */
  async logged(n: number): Promise<readonly Record<string, unknown>[]> {
    const lines = (): string[] => this.stdout.split('\n').slice(0, -1);
    const end = performance.now() + 5000;
    while (lines().length < n && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    return lines().map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async stop(): Promise<void> {
    if (this.alive) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'close');
    }
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }
}
