/**
 * The API server as tests use it: objects by kind and name, server-side apply, and waiting on a watch instead of
 * asking again and again. An answer of 4xx or 5xx is an ApiError with the server's own message.
 */
import fs from 'node:fs';
import https from 'node:https';
import { parseAllDocuments } from 'yaml';
import { plan } from './bed/address-plan.ts';

/** Anything the API server holds; tests say by `T` what they look at. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly generation?: number;
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind; what a test asserts on them is its check.
  readonly [field: string]: any;
}

export interface Kind {
  /** `v1`, `apps/v1`, ... */
  readonly apiVersion: string;
  readonly kind: string;
}

export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Of a wait: a machine may be busy with other things. */
const patienceMs = 240_000;

const mergePatch = 'application/merge-patch+json';
const applyPatch = 'application/apply-patch+yaml';

export class KubeApi {
  readonly #agent: https.Agent;
  readonly #resources = new Map<string, Promise<ReadonlyMap<string, { name: string; namespaced: boolean }>>>();

  /** @param pki folder with ca.crt, admin.crt and admin.key */
  constructor(pki: string) {
    const read = (file: string) => fs.readFileSync(`${pki}/${file}`);
    this.#agent = new https.Agent({
      keepAlive: true,
      maxSockets: 100,
      ca: read('ca.crt'),
      cert: read('admin.crt'),
      key: read('admin.key'),
    });
  }

  /** An answer's JSON. @throws ApiError */
  async request<T = KubeObject>(method: string, path: string, body?: unknown, type = 'application/json'): Promise<T> {
    const { status, text } = await this.raw(method, path, body, type);
    if (status < 300) return JSON.parse(text) as T;
    throw errorOf(status, text);
  }

  raw(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
    const content = body === undefined ? '' : JSON.stringify(body);
    const headers = content === '' ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(content) };
    return new Promise((resolve, reject) => {
      const request = https.request(`${plan.apiServer}${path}`, { method, agent: this.#agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end(content);
    });
  }

  /** `/apis/apps/v1/namespaces/NAMESPACE/deployments[/NAME]`; the namespace is left out for a kind without one. */
  async path({ apiVersion, kind }: Kind, namespace?: string, name?: string): Promise<string> {
    const resource = (await this.#resourcesOf(apiVersion)).get(kind);
    if (resource === undefined) throw new Error(`the API server has no ${kind} in ${apiVersion}`);
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
    return `${group}${scope}/${resource.name}${name === undefined ? '' : `/${name}`}`;
  }

  /** Server-side apply of every document of a YAML text, or of objects. @throws ApiError */
  async apply(objects: string | readonly object[], namespace = 'default', query = ''): Promise<readonly KubeObject[]> {
    const applied: KubeObject[] = [];
    for (const object of typeof objects === 'string' ? documents(objects) : (objects as readonly KubeObject[])) {
      const path = await this.path(object, object.metadata.namespace ?? namespace, object.metadata.name);
      applied.push(await this.request('PATCH', `${path}?fieldManager=test&force=true${query}`, object, applyPatch));
    }
    return applied;
  }

  /** @throws ApiError: 400 for what an admission webhook refuses, 422 for what the schema does */
  async create(object: object, namespace = 'default', query = ''): Promise<KubeObject> {
    const o = object as KubeObject;
    return this.request('POST', `${await this.path(o, o.metadata.namespace ?? namespace)}${query}`, object);
  }

  async get(kind: Kind, namespace: string | undefined, name: string): Promise<KubeObject> {
    return this.request('GET', await this.path(kind, namespace, name));
  }

  async patch(kind: Kind, namespace: string | undefined, name: string, change: unknown): Promise<KubeObject> {
    return this.request('PATCH', await this.path(kind, namespace, name), change, mergePatch);
  }

  /** Nothing happens when it is not there. */
  async remove(kind: Kind, namespace: string | undefined, name: string, graceSeconds?: number): Promise<void> {
    const query = graceSeconds === undefined ? '' : `?gracePeriodSeconds=${graceSeconds}`;
    const { status, text } = await this.raw('DELETE', `${await this.path(kind, namespace, name)}${query}`);
    if (status >= 300 && status !== 404) throw errorOf(status, text);
  }

  async list(kind: Kind, namespace?: string, selector = ''): Promise<readonly KubeObject[]> {
    return (await this.#list(await this.path(kind, namespace), selector)).items;
  }

  /**
   * Watches until the objects satisfy the predicate, and returns them.
   * @param selector a query such as `labelSelector=app%3Dweb`
   * @throws Error with what was seen last when the deadline passes
   */
  async untilAll(
    kind: Kind,
    namespace: string | undefined,
    selector: string,
    holds: (objects: readonly KubeObject[]) => boolean,
    deadlineMs = patienceMs,
  ): Promise<readonly KubeObject[]> {
    const path = await this.path(kind, namespace);
    const end = AbortSignal.timeout(deadlineMs);
    let last: readonly KubeObject[] = [];
    const seen = (objects: readonly KubeObject[]): boolean => holds((last = objects));
    while (!end.aborted) {
      const { items, resourceVersion } = await this.#list(path, selector);
      if (seen(items) || (await this.#watch(path, selector, resourceVersion, items, seen, end))) return last;
    }
    const what = `${kind.kind} ${namespace ?? ''} ${decodeURIComponent(selector)}`;
    throw new Error(`${what}: not as expected in ${deadlineMs / 1000} s; last seen: ${shown(last)}`);
  }

  /** Watches one object; the predicate gets undefined while there is none. */
  async until(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    holds: (object: KubeObject | undefined) => boolean,
    deadlineMs?: number,
  ): Promise<KubeObject | undefined> {
    const selector = `fieldSelector=metadata.name%3D${name}`;
    return (await this.untilAll(kind, namespace, selector, ([object]) => holds(object), deadlineMs))[0];
  }

  /** For what nobody can watch: the API server takes up webhooks and definitions a moment after they are written. */
  async eventually<T>(ask: () => Promise<T>, holds: (answer: T) => boolean, deadlineMs = 30_000): Promise<T> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      const answer = await ask();
      if (holds(answer)) return answer;
      if (Date.now() > end) throw new Error(`not as expected in ${deadlineMs / 1000} s: ${JSON.stringify(answer)}`);
    }
  }

  async #list(path: string, selector: string) {
    const list = await this.request<{ items: KubeObject[]; metadata: { resourceVersion: string }; kind: string }>(
      'GET',
      `${path}?${selector}`,
    );
    return { items: list.items, resourceVersion: list.metadata.resourceVersion };
  }

  /** True when the predicate held; false when the watch ended before. */
  #watch(
    path: string,
    selector: string,
    from: string,
    start: readonly KubeObject[],
    holds: (objects: readonly KubeObject[]) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const now = new Map(start.map((o) => [keyOf(o), o]));
    const url = `${plan.apiServer}${path}?${selector}&watch=true&resourceVersion=${from}`;
    return new Promise((resolve, reject) => {
      const settle = (held: boolean): void => {
        resolve(held);
        request.destroy();
      };
      const request = https.get(url, { agent: this.#agent, signal }, (response) => {
        const event = (line: string): void => {
          const { type, object } = JSON.parse(line);
          if (type === 'DELETED') now.delete(keyOf(object));
          else if (type !== 'ERROR') now.set(keyOf(object), object);
          if (type === 'ERROR' || holds([...now.values()])) settle(type !== 'ERROR');
        };
        let rest = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          try {
            for (const line of lines) event(line);
          } catch (error) {
            reject(error);
            request.destroy();
          }
        });
        response.on('error', () => settle(false));
        response.on('close', () => settle(false));
      });
      request.on('error', () => settle(false));
    });
  }

  #resourcesOf(apiVersion: string) {
    const known = this.#resources.get(apiVersion);
    if (known !== undefined) return known;
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const asked = this.request<{ resources: { kind: string; name: string; namespaced: boolean }[] }>('GET', path).then(
      ({ resources }) => new Map(resources.filter((r) => !r.name.includes('/')).map((r) => [r.kind, r])),
    );
    this.#resources.set(apiVersion, asked);
    // Definitions may be installed later: a miss is asked again.
    asked.catch(() => this.#resources.delete(apiVersion));
    return asked;
  }
}

/** What an object has come to, without what was asked for. */
function shown(objects: readonly KubeObject[]): string {
  const text = JSON.stringify(
    objects.map((o) => ({ name: o.metadata.name, status: o['status'], message: o['message'] })),
  );
  return text.length > 4000 ? `${text.slice(0, 4000)}...` : text;
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

export function documents(text: string): readonly KubeObject[] {
  return parseAllDocuments(text)
    .map((d) => d.toJS())
    .filter((o) => o !== null);
}

function errorOf(status: number, text: string): ApiError {
  try {
    const { reason, message } = JSON.parse(text);
    return new ApiError(status, reason ?? '', message ?? text);
  } catch {
    return new ApiError(status, '', text);
  }
}
