/**
 * What an API server passes on to a pod: an HTTP request to a port of its loopback, a program run in a container, a
 * container's log. Over @kubernetes/client-node. Invariant: every answer is bounded, and nothing waits for ever.
 */
import http from 'node:http';
import https from 'node:https';
import { Duplex, PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '@chainmail/runtime';
import { Exec, PortForward, type V1Status } from '@kubernetes/client-node';
import { ApiError, errorOf } from './api-error.ts';
import { type ClusterAccess, Credentials } from './credentials.ts';

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

export interface PodContainer {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface PodAnswer {
  readonly status: number;
  readonly body: string;
}

export interface ExecEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const patienceMs = 15_000;
/** A program has to start first, on a node that may be busy. */
const execPatienceMs = 60_000;
/** An agent's whole configuration has a few megabytes; a pod that sends more does not mean well. */
const maxBytes = 64 * 1024 * 1024;

interface Tunnel {
  readonly socket: Duplex;
  close(): void;
}

/** Collects text, and fails beyond the bound. */
class Collector extends Writable {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#length += chunk.length;
    if (this.#length <= maxBytes) this.#chunks.push(chunk);
    done(this.#length > maxBytes ? new Error(`more than ${maxBytes} bytes`) : undefined);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

function within<T>(what: string, ms: number, work: Promise<T>, onLate: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new ApiError(`${what}: no answer within ${ms / 1000} s`, { status: 0 }));
      onLate();
    }, ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** What a refused WebSocket says: `Unexpected server response: 403`. */
function streamError(what: string, cause: unknown): ApiError {
  // The library rejects with the event of a WebSocket, which is no Error.
  const { message = messageOf(cause) } = (cause ?? {}) as { readonly message?: string };
  const status = Number(/server response: (\d{3})/.exec(message)?.[1] ?? 0);
  return cause instanceof ApiError ? cause : new ApiError(`${what}: ${message}`, { status, cause });
}

export class PodStreams {
  readonly #credentials: Credentials;

  /** @throws UserError KUBE_CREDENTIALS */
  constructor(access: ClusterAccess) {
    this.#credentials = new Credentials(access);
  }

  /** GET over a port-forward: the kubelet dials 127.0.0.1 in the pod's network. @throws ApiError */
  async get(at: PodPort, path: string): Promise<PodAnswer> {
    const what = `port-forward to ${at.namespace}/${at.pod}:${at.port}`;
    let tunnel: Tunnel | undefined;
    const work = async (): Promise<PodAnswer> => {
      tunnel = await this.#tunnel(at);
      return requestOver(tunnel.socket, path);
    };
    try {
      return await within(what, patienceMs, work(), () => tunnel?.close());
    } catch (error) {
      throw streamError(what, error);
    } finally {
      tunnel?.close();
    }
  }

  /** Runs a program to its end with an empty stdin. @throws ApiError when it could not be run */
  async exec(at: PodContainer, command: readonly string[]): Promise<ExecEnd> {
    const what = `exec in ${at.namespace}/${at.pod}`;
    const [stdout, stderr] = [new Collector(), new Collector()];
    let close: (() => void) | undefined;
    const work = new Promise<V1Status>((resolve, reject) => {
      for (const stream of [stdout, stderr]) stream.on('error', reject);
      new Exec(this.#credentials.config)
        .exec(at.namespace, at.pod, at.container, [...command], stdout, stderr, null, false, resolve)
        .then((socket) => {
          close = () => socket.close();
          socket.onclose = () => reject(new Error('the connection was cut'));
        }, reject);
    });
    try {
      const status = await within(what, execPatienceMs, work, () => close?.());
      return { exitCode: exitCodeOf(status), stdout: stdout.text(), stderr: stderr.text() };
    } catch (error) {
      throw streamError(what, error);
    } finally {
      close?.();
    }
  }

  /** The last lines of a log, and what follows until the signal aborts. @throws ApiError */
  async log(
    at: PodContainer,
    options: { readonly tailLines: number; readonly follow: boolean },
    onData: (data: Buffer) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const what = `log of ${at.namespace}/${at.pod}`;
    try {
      const response = await this.#open(at, options, signal);
      if (response.statusCode !== 200) {
        const body = new Collector();
        await pipeline(response, body);
        throw errorOf(what, response.statusCode ?? 0, body.text());
      }
      for await (const data of response) onData(data as Buffer);
    } catch (error) {
      if (signal?.aborted !== true) throw streamError(what, error);
    }
  }

  /** Not by the library's Log: a stream that breaks off while it is followed ends the process there. */
  async #open(
    { namespace, pod, container }: PodContainer,
    { tailLines, follow }: { readonly tailLines: number; readonly follow: boolean },
    signal: AbortSignal | undefined,
  ): Promise<http.IncomingMessage> {
    const { server, options } = await this.#credentials.endpoint();
    const url = new URL(`${server.pathname.replace(/\/$/, '')}/api/v1/namespaces/${namespace}/pods/${pod}/log`, server);
    // An API server takes any word but `false` for true.
    const query = { container, tailLines: String(tailLines), ...(follow ? { follow: 'true' } : {}) };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const send = url.protocol === 'http:' ? http.request : https.request;
    return new Promise((resolve, reject) => {
      const request = send(url, { ...options, ...(signal === undefined ? {} : { signal }) }, resolve);
      request.on('error', reject);
      request.end();
    });
  }

  async #tunnel({ namespace, pod, port }: PodPort): Promise<Tunnel> {
    const toPod = new PassThrough();
    const socket = new Duplex({
      read() {},
      write: (chunk, _encoding, done) => toPod.write(chunk, done),
      final: (done) => done(), // half-closing the tunnel would cut the answer off
    });
    const fromPod = new Writable({
      write(chunk, _encoding, done) {
        socket.push(chunk);
        done();
      },
    });
    const failure = new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (chunk.length > 0) socket.destroy(new Error(chunk.toString('utf8').trim()));
        done();
      },
    });
    const forward = new PortForward(this.#credentials.config);
    const connection = await forward.portForward(namespace, pod, [port], fromPod, failure, toPod);
    const web = typeof connection === 'function' ? connection() : connection;
    if (web === null) throw new Error('no connection');
    web.onclose = () => void socket.push(null);
    return {
      socket,
      close: () => {
        web.close();
        socket.destroy();
      },
    };
  }
}

const exitCodeOf = (status: V1Status): number => {
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message;
  if (code === undefined) throw new Error(status.message ?? 'it could not be run');
  return Number(code);
};

function requestOver(socket: Duplex, path: string): Promise<PodAnswer> {
  const headers = { host: 'localhost', connection: 'close' };
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    const request = http.request({ path, headers, createConnection: () => socket }, (response) => {
      const body = new Collector();
      body.on('error', reject);
      response.on('error', reject);
      response.pipe(body).on('finish', () => resolve({ status: response.statusCode ?? 0, body: body.text() }));
    });
    request.on('error', reject);
    request.end();
  });
}
