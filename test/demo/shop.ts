/** The running demo as the claims see it: its pods, what their agents and applications say, and the customers' luck. */
import { spawn } from 'node:child_process';
import type { DevClient, DevPod } from '@chainmail/local';

export interface LoadTotals {
  readonly sent: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly now: number;
  readonly failures: readonly { readonly at: number; readonly reason: string }[];
}

export interface AgentEdge {
  readonly direction: 'inbound' | 'outbound';
  readonly local: string;
  readonly peer: string;
  readonly target: string;
  readonly tls: string;
  readonly requests: number;
}

export interface AgentCertificate {
  readonly uri: string;
  readonly serial: string;
  readonly validFrom: string;
  readonly expirationTime: string;
}

interface CertsPage {
  readonly certificates: readonly {
    readonly cert_chain: readonly {
      readonly serial_number: string;
      readonly subject_alt_names?: readonly { readonly uri?: string }[];
      readonly valid_from: string;
      readonly expiration_time: string;
    }[];
  }[];
}

/** Where the edited policies of this run are, and the client of its supervisor. */
export class Shop {
  readonly dev: DevClient;
  readonly folder: string;
  readonly node: string;

  constructor(dev: DevClient, folder: string, node: string) {
    this.dev = dev;
    this.folder = folder;
    this.node = node;
  }

  /** Running pods of a namespace whose label `app` is given, or all. */
  async pods(namespace: string, app?: string): Promise<readonly DevPod[]> {
    const { pods } = await this.dev.status();
    return pods.filter(
      (p) => p.namespace === namespace && !p.terminating && (app === undefined || p.labels['app'] === app),
    );
  }

  async pod(namespace: string, app: string): Promise<DevPod> {
    const [first] = await this.pods(namespace, app);
    if (first === undefined) throw new Error(`no pod of ${namespace}/${app} runs`);
    return first;
  }

  /** Runs a command in the application's container and returns what it printed. */
  async exec(pod: DevPod, command: readonly string[]): Promise<string> {
    const container = pod.containerNames[0] ?? '';
    const done = await this.dev.exec({ namespace: pod.namespace, pod: pod.name, container, command });
    if (done.exitCode !== 0)
      throw new Error(`${command.join(' ')} in ${pod.name}: exit ${done.exitCode}: ${done.stderr}`);
    return done.stdout;
  }

  async execJson<T>(pod: DevPod, command: readonly string[]): Promise<T> {
    return JSON.parse(await this.exec(pod, command)) as T;
  }

  /** Asks the application's control port, which only its own pod reaches. */
  control<T>(pod: DevPod, path: string): Promise<T> {
    const script = `process.stdout.write(await (await fetch('http://127.0.0.1:9090${path}')).text())`;
    return this.execJson<T>(pod, ['node', '--input-type=module', '-e', script]);
  }

  async admin<T>(pod: DevPod, path: string): Promise<T> {
    const answer = await this.dev.proxy({ namespace: pod.namespace, pod: pod.name }, 'admin', path);
    if (answer.status !== 200) throw new Error(`${pod.name}${path}: ${answer.status} ${answer.body.slice(0, 200)}`);
    return JSON.parse(answer.body) as T;
  }

  async edges(pod: DevPod): Promise<readonly AgentEdge[]> {
    return (await this.admin<{ edges: readonly AgentEdge[] }>(pod, '/edges')).edges;
  }

  async certificate(pod: DevPod): Promise<AgentCertificate> {
    const page = await this.admin<CertsPage>(pod, '/certs');
    const leaf = page.certificates[0]?.cert_chain[0];
    return {
      uri: leaf?.subject_alt_names?.find((n) => n.uri !== undefined)?.uri ?? '',
      serial: leaf?.serial_number ?? '',
      validFrom: leaf?.valid_from ?? '',
      expirationTime: leaf?.expiration_time ?? '',
    };
  }

  async load(): Promise<LoadTotals> {
    return this.control<LoadTotals>(await this.pod('shop', 'load'), '/totals');
  }

  /** How the customers fared while something was done. */
  async during<T>(act: () => Promise<T>): Promise<{
    readonly value: T;
    readonly sent: number;
    readonly failed: number;
    readonly reasons: readonly string[];
  }> {
    const before = await this.load();
    const value = await act();
    const after = await this.load();
    const reasons = after.failures.filter((f) => f.at >= before.now).map((f) => f.reason);
    return {
      value,
      sent: after.sent - before.sent,
      failed: after.failed - before.failed,
      reasons: [...new Set(reasons)],
    };
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks every everyMs until the answer is not undefined; undefined after timeoutMs. */
export async function waitFor<T>(
  look: () => Promise<T | undefined>,
  timeoutMs: number,
  everyMs = 100,
): Promise<T | undefined> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined || Date.now() > deadline) return found;
    await sleep(everyMs);
  }
}

/** Runs a program to its end with a limit; its output whatever its exit code. */
export function output(command: string, args: readonly string[], limitMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (c: Buffer) => chunks.push(c));
    child.on('error', reject);
    const limit = setTimeout(() => child.kill('SIGTERM'), limitMs);
    child.on('close', () => {
      clearTimeout(limit);
      resolve(Buffer.concat(chunks).toString('latin1'));
    });
  });
}
