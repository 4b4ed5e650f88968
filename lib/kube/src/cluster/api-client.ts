/**
 * Requests to an API server: plain JSON in, plain JSON out, with the credentials of @kubernetes/client-node and
 * connections that are kept. Invariant: every request has a deadline and a bound on its answer.
 */
import { createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { type Clock, messageOf, systemClock } from '@chainmail/runtime';
import { Watch } from '@kubernetes/client-node';
import type { KubeObject } from '../object.ts';
import { ApiError, errorOf } from './api-error.ts';
import { type ClusterAccess, Credentials, type Endpoint } from './credentials.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root, e.g. `/api/v1/namespaces`. */
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly timeoutMs?: number;
}

export interface ListAnswer {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly KubeObject[] | null;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

const defaultTimeoutMs = 15_000;
/** A page of 500 objects, each at most 1.5 MiB in etcd; real pages have a few megabytes. */
const maxAnswerBytes = 64 * 1024 * 1024;
/** Bookmarks come once a minute: a stream silent for longer is dead. */
const watchSilenceMs = 100_000;
const maxSockets = 16;
/** Connections kept for the next request, and the servers' own limits are far above. */
const idleSocketMs = 30_000;

interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

function urlOf(server: URL, path: string, query: Query = {}): URL {
  const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  return url;
}

/** Changes when the TLS material does, so that a rotated certificate is not used on kept connections for ever. */
function materialOf({ options }: Endpoint): string {
  const hash = createHash('sha256');
  for (const part of [options.ca, options.cert, options.key, options.servername]) hash.update(`${part ?? ''}\0`);
  return hash.digest('base64');
}

function readAnswer(response: http.IncomingMessage, done: (a: RawAnswer) => void, fail: (e: Error) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxAnswerBytes) response.destroy(new Error(`the answer is larger than ${maxAnswerBytes} bytes`));
    else chunks.push(chunk);
  });
  response.on('error', fail);
  response.on('aborted', () => fail(new Error('the connection was cut')));
  response.on('end', () => {
    const text = Buffer.concat(chunks).toString('utf8');
    done({ status: response.statusCode ?? 0, text, retryAfter: response.headers['retry-after'] });
  });
}

export class ApiClient {
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  #agent: { readonly material: string; readonly agent: http.Agent } | undefined;

  /** @throws UserError KUBE_CREDENTIALS */
  constructor(access: ClusterAccess, clock: Clock = systemClock) {
    this.#credentials = new Credentials(access);
    this.#clock = clock;
  }

  get server(): string {
    return this.#credentials.server;
  }

  /** The parsed answer. @throws ApiError, for no answer too */
  async request(request: ApiRequest): Promise<unknown> {
    const what = `${request.method} ${request.path}`;
    let answer: RawAnswer;
    try {
      answer = await this.#send(request);
    } catch (cause) {
      throw new ApiError(`${what}: ${messageOf(cause)}`, { status: 0, cause });
    }
    if (answer.status === 401) this.#credentials.refused(this.#clock.now());
    if (answer.status < 200 || answer.status > 299) {
      throw errorOf(what, answer.status, answer.text, answer.retryAfter);
    }
    try {
      return JSON.parse(answer.text);
    } catch (cause) {
      throw new ApiError(`${what}: the answer is not JSON`, { status: 0, cause });
    }
  }

  /** undefined for what is not there. @throws ApiError */
  async get(path: string): Promise<KubeObject | undefined> {
    try {
      return (await this.request({ method: 'GET', path })) as KubeObject;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list(path: string, query: Query): Promise<ListAnswer> {
    return (await this.request({ method: 'GET', path, query, timeoutMs: 60_000 })) as ListAnswer;
  }

  async create(path: string, body: unknown): Promise<KubeObject> {
    return (await this.request({ method: 'POST', path, body })) as KubeObject;
  }

  /** The version in the body's metadata must still hold. */
  async replace(path: string, body: unknown): Promise<KubeObject> {
    return (await this.request({ method: 'PUT', path, body })) as KubeObject;
  }

  /** Server-side apply: the fields of the body become the manager's. */
  async apply(path: string, body: unknown, fieldManager: string): Promise<KubeObject> {
    const query = { fieldManager, force: true };
    const contentType = 'application/apply-patch+yaml'; // JSON is YAML
    return (await this.request({ method: 'PATCH', path, query, body, contentType })) as KubeObject;
  }

  async jsonPatch(path: string, body: unknown, fieldManager: string): Promise<KubeObject> {
    const contentType = 'application/json-patch+json';
    return (await this.request({
      method: 'PATCH',
      path,
      query: { fieldManager },
      body,
      contentType,
    })) as KubeObject;
  }

  async remove(path: string): Promise<void> {
    await this.request({ method: 'DELETE', path });
  }

  /**
   * Follows a list from its version on. Calls `end` once: with nothing when the server closed in peace, else with an
   * ApiError. Returns what stops it.
   */
  watch(
    path: string,
    query: Query,
    onEvent: (event: WatchEvent) => void,
    end: (error: ApiError | undefined) => void,
  ): () => void {
    const watch = new Watch(this.#credentials.config);
    // Private in the library, which would cut a quiet stream after 30 s.
    Reflect.set(watch, 'requestTimeoutMs', watchSilenceMs);
    let over = false;
    const finish = (error: unknown): void => {
      if (over) return;
      over = true;
      if (statusOf(error) === 401) this.#credentials.refused(this.#clock.now());
      end(error === null || error === undefined ? undefined : watchError(path, error));
    };
    const running = watch
      .watch(
        path,
        { ...query },
        (type, object) => {
          if (!over) onEvent({ type, object });
        },
        finish,
      )
      .catch((error: unknown) => {
        finish(error);
        return undefined;
      });
    return () => {
      over = true;
      void running.then((controller) => controller?.abort());
    };
  }

  /** Closes the connections that are kept. */
  close(): void {
    this.#agent?.agent.destroy();
    this.#agent = undefined;
  }

  async #send({ method, path, query, body, contentType, timeoutMs }: ApiRequest): Promise<RawAnswer> {
    const endpoint = await this.#credentials.endpoint();
    const url = urlOf(endpoint.server, path, query);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { headers, ...tls } = endpoint.options;
    const options: https.RequestOptions = {
      ...tls,
      method,
      agent: endpoint.viaProxy ? endpoint.options.agent : this.#agentFor(endpoint),
      headers: {
        ...(headers as Record<string, string> | undefined),
        accept: 'application/json',
        ...(text === undefined
          ? {}
          : { 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(text) }),
      },
    };
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'http:' ? http.request : https.request;
      const request = send(url, options, (response) => readAnswer(response, settle(resolve), settle(reject)));
      const limitMs = timeoutMs ?? defaultTimeoutMs;
      const deadline = setTimeout(() => request.destroy(new Error(`no answer within ${limitMs} ms`)), limitMs);
      function settle<A>(call: (value: A) => void): (value: A) => void {
        return (value) => {
          clearTimeout(deadline);
          call(value);
        };
      }
      request.on('error', settle(reject));
      request.end(text);
    });
  }

  #agentFor(endpoint: Endpoint): http.Agent {
    const material = materialOf(endpoint);
    if (this.#agent?.material === material) return this.#agent.agent;
    this.#agent?.agent.destroy();
    const { ca, cert, key, servername, rejectUnauthorized } = endpoint.options;
    const keep = { keepAlive: true, maxSockets, timeout: idleSocketMs };
    const agent =
      endpoint.server.protocol === 'http:'
        ? new http.Agent(keep)
        : new https.Agent({ ...keep, ...{ ca, cert, key, servername, rejectUnauthorized } });
    this.#agent = { material, agent };
    return agent;
  }
}

const statusOf = (error: unknown): number => {
  const { statusCode } = (error ?? {}) as { readonly statusCode?: unknown };
  return typeof statusCode === 'number' ? statusCode : 0;
};

function watchError(path: string, error: unknown): ApiError {
  const cause = (error as { readonly cause?: unknown }).cause;
  const detail = cause instanceof Error ? `: ${cause.message}` : '';
  return new ApiError(`watch ${path}: ${messageOf(error)}${detail}`, { status: statusOf(error), cause: error });
}
