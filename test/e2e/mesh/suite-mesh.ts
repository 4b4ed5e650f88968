/** The mesh of this suite as its tests use it: calls from pods, edits of the folder, and waiting with a deadline. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type DevPod, type LocalMesh, startLocalMesh, stopLocalMesh, waitUntilReady } from '@chainmail/local';
import type { DriverCalls, HttpAnswer, HttpCall } from './driver-api.ts';

export interface AgentEdge {
  readonly direction: 'inbound' | 'outbound';
  readonly local: string;
  readonly peer: string;
  readonly target: string;
  readonly tls: string;
  readonly requests: number;
  readonly connections: number;
}

/** What the application says reached it. */
export interface Echo {
  readonly pod: string;
  readonly version: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly attempt: number;
}

const driverPort = 9099;
const readyMs = 90_000;

/** Polls until there is a value; the error names what was waited for and what was seen last. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 15_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: unknown = 'no value';
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s (${last})`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

export class SuiteMesh {
  readonly dir: string;
  readonly name: string;
  readonly #mesh: LocalMesh;

  private constructor(dir: string, name: string, mesh: LocalMesh) {
    this.dir = dir;
    this.name = name;
    this.#mesh = mesh;
  }

  static async start(name: string, files: Readonly<Record<string, string>>): Promise<SuiteMesh> {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
    for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(dir, file), text);
    try {
      const mesh = await startLocalMesh({ dirs: [dir], name, mesh: { certificateTtlSeconds: 3600 } });
      await waitUntilReady(mesh.client, readyMs);
      return new SuiteMesh(dir, name, mesh);
    } catch (error) {
      await stopLocalMesh(name);
      fs.rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  get client(): LocalMesh['client'] {
    return this.#mesh.client;
  }

  get paths(): LocalMesh['paths'] {
    return this.#mesh.paths;
  }

  async stop(): Promise<void> {
    await stopLocalMesh(this.name);
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  /** Replaces a file of the user's folder in one step; undefined removes it. */
  edit(file: string, text: string | undefined): void {
    const target = path.join(this.dir, file);
    if (text === undefined) {
      fs.rmSync(target, { force: true });
      return;
    }
    fs.writeFileSync(path.join(this.dir, `.${file}`), text);
    fs.renameSync(path.join(this.dir, `.${file}`), target);
  }

  /** The only pod, or the first, of `namespace/app`. */
  async pod(key: string): Promise<DevPod> {
    const [pod] = await this.pods(key);
    if (pod === undefined) throw new Error(`no pod of ${key} runs`);
    return pod;
  }

  async pods(key: string): Promise<readonly DevPod[]> {
    const [namespace = '', app = ''] = key.split('/');
    return this.client.select(namespace, { app });
  }

  /** Makes a pod call out through its agent. */
  async from<K extends keyof DriverCalls>(
    key: string,
    operation: K,
    call: DriverCalls[K]['call'],
  ): Promise<DriverCalls[K]['answer']> {
    const { namespace, name } = await this.pod(key);
    const options = { method: 'POST', body: JSON.stringify(call) };
    const answer = await this.client.proxy({ namespace, pod: name }, driverPort, `/${operation}`, options);
    if (answer.status !== 200) throw new Error(`${operation} in ${name}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as DriverCalls[K]['answer'];
  }

  async http(key: string, call: HttpCall): Promise<HttpAnswer> {
    const [answer] = await this.from(key, 'http', call);
    if (answer === undefined) throw new Error('no answer');
    return answer;
  }

  async edges(key: string): Promise<readonly AgentEdge[]> {
    const { namespace, name } = await this.pod(key);
    const { body } = await this.client.proxy({ namespace, pod: name }, 'admin', '/edges');
    return (JSON.parse(body) as { edges: readonly AgentEdge[] }).edges;
  }

  async stats(key: string): Promise<ReadonlyMap<string, number>> {
    const { namespace, name } = await this.pod(key);
    const { body } = await this.client.proxy({ namespace, pod: name }, 'admin', '/stats?format=json');
    const { stats } = JSON.parse(body) as { stats: readonly { name?: string; value?: number }[] };
    return new Map(stats.flatMap((s) => (s.name === undefined ? [] : [[s.name, s.value ?? 0] as const])));
  }

  /** The access log of the agent, parsed; other lines are left out. */
  async accessLog(key: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { namespace, name } = await this.pod(key);
    const text = await this.client.logs({ namespace, pod: name, container: 'mesh-agent' });
    return text.split('\n').flatMap((line) => {
      try {
        const value = JSON.parse(line) as Record<string, unknown>;
        return 'response_flags' in value || 'bytes_sent' in value ? [value] : [];
      } catch {
        return [];
      }
    });
  }

  /** What control says about an object of the folder; empty when there is no status file. */
  status(kind: string, namespace: string, name: string): string {
    const file = path.join(this.paths.status, `${kind}.${namespace}.${name}.yaml`);
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  }

  /** Waits until a status says what is expected, by the condition's text. */
  programmed(kind: string, namespace: string, name: string, text = 'reason: Programmed'): Promise<string> {
    return eventually(`${kind} ${namespace}/${name} says '${text}'`, () => {
      const status = this.status(kind, namespace, name);
      return status.includes(text) ? status : undefined;
    });
  }
}

export const echoOf = (answer: HttpAnswer): Echo => JSON.parse(answer.body) as Echo;
