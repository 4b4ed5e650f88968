/**
 * A registry for the node's containerd and for tools that push (OCI distribution-spec v1.1): blobs and manifests of
 * layouts made here, and what is uploaded while it runs. Names are not told apart; a digest is enough.
 */
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import type http from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';

interface Manifest {
  readonly mediaType: string;
  readonly digest: string;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export class Registry {
  readonly #blobs: string;
  /** By `NAME:TAG` and by digest. */
  readonly #manifests = new Map<string, Manifest>();
  readonly #uploads = new Map<string, Buffer[]>();

  /** @param layout an OCI layout; uploads are written among its blobs */
  constructor(layout: string) {
    this.#blobs = path.join(layout, 'blobs/sha256');
    const { manifests } = JSON.parse(fs.readFileSync(path.join(layout, 'index.json'), 'utf8'));
    for (const m of manifests) {
      const reference: string = m.annotations['io.containerd.image.name'];
      this.#remember(reference.slice(reference.indexOf('/') + 1), m);
    }
  }

  listener(): http.RequestListener {
    return (request, response) => {
      this.#answer(request, response).catch((error) => reply(response, 500, String(error)));
    };
  }

  #remember(name: string, manifest: Manifest): void {
    this.#manifests.set(name, manifest);
    this.#manifests.set(manifest.digest, manifest);
    if (!manifest.mediaType.includes('index')) return;
    for (const inner of JSON.parse(this.#read(manifest.digest)?.toString('utf8') ?? '{"manifests":[]}').manifests) {
      this.#manifests.set(inner.digest, inner);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://registry');
    if (url.pathname === '/v2/') return reply(response, 200, '{}');
    const match = /^\/v2\/(.+)\/(manifests|blobs|blobs\/uploads)\/([^/]*)$/.exec(url.pathname);
    if (match === null) return reply(response, 404, 'no such path');
    const [, name = '', kind = '', reference = ''] = match;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (kind === 'manifests' && isRead) return this.#sendManifest(name, reference, response);
    if (kind === 'manifests' && request.method === 'PUT') return this.#takeManifest(name, reference, request, response);
    if (kind === 'blobs' && isRead) return this.#send(reference, 'application/octet-stream', response);
    if (kind === 'blobs/uploads')
      return this.#upload(name, reference, url.searchParams.get('digest'), request, response);
    return reply(response, 405, 'not here');
  }

  #sendManifest(name: string, reference: string, response: ServerResponse): void {
    const key = reference.startsWith('sha256:') ? reference : `${name}:${reference}`;
    const found = this.#manifests.get(key);
    if (found === undefined) reply(response, 404, `no manifest ${key}`);
    else this.#send(found.digest, found.mediaType, response);
  }

  #send(digest: string, mediaType: string, response: ServerResponse): void {
    const bytes = this.#read(digest);
    if (bytes === null) reply(response, 404, `no blob ${digest}`);
    else reply(response, 200, bytes, { 'content-type': mediaType, 'docker-content-digest': digest });
  }

  async #takeManifest(name: string, tag: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = await body(request);
    const digest = digestOf(bytes);
    this.#write(digest, bytes);
    this.#remember(`${name}:${tag}`, { digest, mediaType: request.headers['content-type'] ?? '' });
    reply(response, 201, '', { location: `/v2/${name}/manifests/${digest}`, 'docker-content-digest': digest });
  }

  /** POST begins, PATCH adds, PUT ends with the digest that the whole must have. */
  async #upload(
    name: string,
    id: string,
    digest: string | null,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const key = id === '' ? randomUUID() : id;
    const chunks = this.#uploads.get(key) ?? [];
    chunks.push(await body(request));
    this.#uploads.set(key, chunks);
    const location = `/v2/${name}/blobs/uploads/${key}`;
    if (digest === null) return reply(response, 202, '', { location, 'docker-upload-uuid': key });
    this.#uploads.delete(key);
    const bytes = Buffer.concat(chunks);
    if (digestOf(bytes) !== digest) return reply(response, 400, `the digest is ${digestOf(bytes)}, not ${digest}`);
    this.#write(digest, bytes);
    reply(response, 201, '', { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest });
  }

  #read(digest: string): Buffer | null {
    const match = /^sha256:([0-9a-f]{64})$/.exec(digest);
    const file = path.join(this.#blobs, match?.[1] ?? 'none');
    return fs.existsSync(file) ? fs.readFileSync(file) : null;
  }

  #write(digest: string, bytes: Buffer): void {
    fs.writeFileSync(path.join(this.#blobs, digest.replace('sha256:', '')), bytes);
  }
}

function reply(
  response: ServerResponse,
  status: number,
  content: string | Buffer,
  headers: http.OutgoingHttpHeaders = {},
) {
  response.writeHead(status, { 'content-length': Buffer.byteLength(content), ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : content);
}

async function body(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
