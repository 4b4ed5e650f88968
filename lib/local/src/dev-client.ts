/** Talks to a supervisor over its unix socket: what meshctl dev, the demo and the end-to-end tests use. */
import http from 'node:http';
import { messageOf, UserError } from '@chainmail/runtime';
import type { ComponentName } from './control-plane.ts';
import type { DevPod, DevStatus } from './dev-status.ts';
import { type ExecFrame, type ExecRequest, execHeader } from './exec-api.ts';
import type { NamedPod } from './pod.ts';
import { type RunPaths, runPaths } from './run-paths.ts';

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecStreams {
  readonly stdin?: NodeJS.ReadableStream;
  readonly onStdout: (data: Buffer) => void;
  readonly onStderr: (data: Buffer) => void;
}

export interface ProxyResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface PodRef {
  readonly namespace: string;
  readonly pod: string;
}

interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly stdin?: NodeJS.ReadableStream;
}

export class DevClient {
  readonly paths: RunPaths;

  /** @param root the folder that holds run directories; /run/chainmail-dev by default */
  constructor(name: string, root?: string) {
    this.paths = runPaths(name, root);
  }

  status(): Promise<DevStatus> {
    return this.#json('/status');
  }

  /** Whole Pod objects with status. */
  pods(): Promise<readonly NamedPod[]> {
    return this.#json('/pods');
  }

  async stop(): Promise<void> {
    await this.#json('/stop', { method: 'POST' });
  }

  /** Kill is SIGKILL; the supervisor starts it again after downMs, or with its usual back-off. */
  async component(name: ComponentName, action: 'kill' | 'restart' | 'stop' | 'start', downMs?: number): Promise<void> {
    const query = downMs === undefined ? '' : `?downMs=${downMs}`;
    await this.#json(`/components/${name}/${action}${query}`, { method: 'POST' });
  }

  /** The last lines of a container's log; of a component's with namespace chainmail-system. */
  async logs(ref: PodRef & { readonly container?: string; readonly tail?: number }): Promise<string> {
    const response = await this.#call(
      `/logs/${ref.namespace}/${ref.pod}/${ref.container ?? ''}?tail=${ref.tail ?? 2000}`,
    );
    return collect(response);
  }

  /** Calls back with the log as it grows, until the signal aborts. */
  async followLogs(
    ref: PodRef & { readonly container?: string; readonly tail?: number },
    onData: (data: Buffer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `/logs/${ref.namespace}/${ref.pod}/${ref.container ?? ''}?follow=1&tail=${ref.tail ?? 20}`;
    const response = await this.#call(path);
    signal.addEventListener('abort', () => response.destroy(), { once: true });
    response.on('data', onData);
    await new Promise<void>((done) => response.once('close', done));
  }

  /** Runs a command to its end with an empty stdin. */
  async exec(request: ExecRequest): Promise<ExecResult> {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const exitCode = await this.execStreaming(request, { onStdout: (d) => out.push(d), onStderr: (d) => err.push(d) });
    return { exitCode, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
  }

  async execStreaming(request: ExecRequest, streams: ExecStreams): Promise<number> {
    const headers = { [execHeader]: Buffer.from(JSON.stringify(request)).toString('base64') };
    const stdin = streams.stdin === undefined ? {} : { stdin: streams.stdin };
    const response = await this.#call('/exec', { method: 'POST', headers, ...stdin });
    let exitCode = 255;
    let rest = '';
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const frame = JSON.parse(line) as ExecFrame;
        if ('exitCode' in frame) exitCode = frame.exitCode;
        else (frame.stream === 'stdout' ? streams.onStdout : streams.onStderr)(Buffer.from(frame.data, 'base64'));
      }
    }
    return exitCode;
  }

  /** The agent's admin interface (`where` = 'admin', Envoy's paths) or a port of the pod. */
  async proxy(ref: PodRef, where: 'admin' | number, path: string, options: CallOptions = {}): Promise<ProxyResponse> {
    const response = await this.#raw(`/proxy/${ref.namespace}/${ref.pod}/${where}/${path.replace(/^\//, '')}`, options);
    return { status: response.statusCode ?? 0, headers: response.headers, body: await collect(response) };
  }

  /** Polls until the check gives a value; the error of a time-out names what was waited for. */
  async until<T>(what: string, timeoutMs: number, check: (status: DevStatus) => T | undefined): Promise<T> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const value = check(await this.status());
      if (value !== undefined) return value;
      if (Date.now() > end) throw new UserError('LOCAL_TIMEOUT', `${what}: not within ${timeoutMs / 1000} s`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  /** Pods whose labels include all of these. */
  async select(namespace: string, labels: Readonly<Record<string, string>>): Promise<readonly DevPod[]> {
    const { pods } = await this.status();
    const inNamespace = pods.filter((p) => p.namespace === namespace && !p.terminating);
    return inNamespace.filter((p) => Object.entries(labels).every(([k, v]) => p.labels[k] === v));
  }

  async #json<T>(path: string, options: CallOptions = {}): Promise<T> {
    return JSON.parse(await collect(await this.#call(path, options))) as T;
  }

  async #call(path: string, options: CallOptions = {}): Promise<http.IncomingMessage> {
    const response = await this.#raw(path, options);
    if ((response.statusCode ?? 500) < 400) return response;
    const error = JSON.parse(await collect(response)) as { code: string; message: string; hint?: string };
    throw new UserError(error.code, error.message, error.hint === undefined ? {} : { hint: error.hint });
  }

  #raw(path: string, options: CallOptions): Promise<http.IncomingMessage> {
    const { method = 'GET', headers = {} } = options;
    return new Promise((done, fail) => {
      const request = http.request({ socketPath: this.paths.socket, path, method, headers, agent: false }, done);
      request.on('error', (cause) => {
        const code = (cause as NodeJS.ErrnoException).code;
        const absent = code === 'ENOENT' || code === 'ECONNREFUSED';
        const text = absent ? `no local mesh '${this.paths.name}' is running` : messageOf(cause);
        const hint = absent ? 'meshctl dev up -f DIR starts one' : 'is this run as root?';
        fail(new UserError(absent ? 'LOCAL_NOT_UP' : 'LOCAL_API', text, { hint, cause }));
      });
      if (options.stdin === undefined) request.end(options.body);
      else options.stdin.pipe(request);
    });
  }
}

async function collect(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
