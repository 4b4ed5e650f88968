/**
 * A small API server for tests of faults: it lists, watches, creates, replaces, patches and deletes whatever it is
 * given, and can be told to refuse, to forget its history, to cut its streams or to be away for a while.
 */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { KubeObject } from '../../object.ts';
import { type Change, FakeObjects, fitsFields, fitsLabels, type Place, placeOf, Refused } from './fake-objects.ts';

interface Fault {
  readonly match: RegExp;
  readonly status: number;
  readonly retryAfter?: number;
  times: number;
}

interface Stream {
  readonly place: Place;
  readonly query: URLSearchParams;
  readonly response: http.ServerResponse;
}

/** Answers a POST that stores nothing, such as a TokenReview. */
export type Answerer = (body: KubeObject) => unknown;

const kindOf: Readonly<Record<string, string>> = {
  namespaces: 'Namespace',
  pods: 'Pod',
  services: 'Service',
  serviceaccounts: 'ServiceAccount',
  configmaps: 'ConfigMap',
  secrets: 'Secret',
  endpointslices: 'EndpointSlice',
  httproutes: 'HTTPRoute',
  meshpolicies: 'MeshPolicy',
  securitypolicies: 'SecurityPolicy',
  backendtrafficpolicies: 'BackendTrafficPolicy',
  leases: 'Lease',
  events: 'Event',
  mutatingwebhookconfigurations: 'MutatingWebhookConfiguration',
};

export class FakeApiServer {
  readonly objects = new FakeObjects();
  readonly answerers = new Map<string, Answerer>();
  /** `METHOD /path` of every request since the start. */
  readonly requests: string[] = [];
  /** Resources that are not installed. */
  readonly absent = new Set<string>();
  readonly #dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-api-'));
  readonly #streams = new Set<Stream>();
  readonly #faults: Fault[] = [];
  #server: http.Server | undefined;
  #port = 0;

  private constructor() {
    this.objects.onChange = (change) => this.#tell(change);
  }

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    await fake.up();
    return fake;
  }

  /** For ApiClient's `kubeconfig`. */
  get kubeconfig(): string {
    return path.join(this.#dir, 'kubeconfig');
  }

  /** Open watches of a resource. */
  watching(resource: string): number {
    return [...this.#streams].filter((s) => s.place.resource === resource).length;
  }

  /** Listens, on the same port as before. */
  async up(): Promise<void> {
    const server = http.createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    const cluster = { server: `http://127.0.0.1:${this.#port}`, 'insecure-skip-tls-verify': true };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'fake', cluster }],
      users: [{ name: 'me', user: { token: 'secret' } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'me' } }],
      'current-context': 'fake',
    };
    fs.writeFileSync(this.kubeconfig, JSON.stringify(config));
  }

  /** Refuses connections and cuts those there are, as a server that was killed. The objects stay. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#streams.clear();
    if (server === undefined) return;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  async close(): Promise<void> {
    await this.down();
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Refuses the next requests whose `METHOD /path?query` matches. */
  fail(match: RegExp, status: number, times = 1, retryAfter?: number): void {
    this.#faults.push({ match, status, times, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }

  /** Cuts the open watches in the middle of their streams. */
  cut(): void {
    for (const { response } of this.#streams) response.destroy();
    this.#streams.clear();
  }

  /** Ends the open watches with an ERROR event, as the server does when its history was compacted. */
  expire(): void {
    this.objects.compact();
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    for (const { response } of this.#streams) response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    this.#streams.clear();
  }

  /** Creates, or replaces whatever stands there. */
  put(at: string, object: object): KubeObject {
    const place = placeOf(at);
    if (place?.name === undefined) throw new Error(`${at} is no object's path`);
    try {
      this.objects.remove(place);
    } catch {
      // was not there
    }
    return this.objects.create({ ...place, name: undefined }, object as KubeObject);
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    this.requests.push(`${request.method} ${url.pathname}`);
    let body = '';
    for await (const chunk of request) body += String(chunk);
    try {
      this.#fault(`${request.method} ${request.url}`, response);
      const place = placeOf(url.pathname);
      if (place === undefined || this.absent.has(place.resource)) {
        throw new Refused(404, 'NotFound', 'the server could not find the requested resource');
      }
      if (url.searchParams.get('watch') === 'true') return this.#watch(place, url.searchParams, response);
      send(response, 200, this.#answer(request, place, url.searchParams, body));
    } catch (error) {
      if (!(error instanceof Refused)) {
        send(response, 500, { kind: 'Status', message: String(error) });
        return;
      }
      const { status: code, reason, message } = error;
      send(response, code, { kind: 'Status', status: 'Failure', code, reason, message });
    }
  }

  #fault(line: string, response: http.ServerResponse): void {
    const fault = this.#faults.find((f) => f.times > 0 && f.match.test(line));
    if (fault === undefined) return;
    fault.times--;
    if (fault.retryAfter !== undefined) response.setHeader('retry-after', String(fault.retryAfter));
    throw new Refused(fault.status, 'Fault', `asked to fail with ${fault.status}`);
  }

  #answer(request: http.IncomingMessage, place: Place, query: URLSearchParams, body: string): unknown {
    const parsed = body === '' ? undefined : (JSON.parse(body) as KubeObject);
    switch (request.method) {
      case 'GET':
        return place.name === undefined ? this.#list(place, query) : this.objects.get(place);
      case 'POST': {
        const answerer = this.answerers.get(place.resource);
        if (answerer !== undefined) return answerer(parsed as KubeObject);
        return this.objects.create(place, parsed as KubeObject);
      }
      case 'PUT':
        return this.objects.replace(place, parsed as KubeObject);
      case 'PATCH':
        return this.objects.patch(place, request.headers['content-type'] ?? '', parsed);
      case 'DELETE':
        return this.objects.remove(place);
      default:
        throw new Refused(405, 'MethodNotAllowed', String(request.method));
    }
  }

  #list(place: Place, query: URLSearchParams): unknown {
    const all = this.objects.list(place).filter((o) => fits(o, query));
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 0) || all.length;
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    const items = all.slice(from, from + limit).map(({ kind, apiVersion, ...rest }) => rest);
    return {
      apiVersion: place.base.replace(/^\/apis?\//, ''),
      kind: `${kindOf[place.resource] ?? 'Object'}List`,
      metadata: { resourceVersion: String(this.objects.version), ...more },
      items,
    };
  }

  #watch(place: Place, query: URLSearchParams, response: http.ServerResponse): void {
    const changes = this.objects.since(Number(query.get('resourceVersion') ?? 0));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const stream = { place, query, response };
    this.#streams.add(stream);
    response.on('close', () => this.#streams.delete(stream));
    for (const change of changes) this.#send(stream, change);
  }

  #tell(change: Change): void {
    for (const stream of this.#streams) this.#send(stream, change);
  }

  #send({ place, query, response }: Stream, { type, object, place: at }: Change): void {
    if (at.base !== place.base || at.resource !== place.resource) return;
    if (place.namespace !== undefined && place.namespace !== at.namespace) return;
    if (fits(object, query)) response.write(`${JSON.stringify({ type, object })}\n`);
  }
}

function fits(object: KubeObject, query: URLSearchParams): boolean {
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  return (labels === null || fitsLabels(object, labels)) && (fields === null || fitsFields(object, fields));
}

function send(response: http.ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
