/**
 * The two servers that others than the mesh may reach: health and the application's probes on one port, metrics on the
 * other. Invariant: only exact paths are served, nothing can be changed, and nothing secret is shown.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AppProbes, messageOf, UserError } from '@chainmail/runtime';
import { type ProbeTarget, runProbe } from './app-probe.ts';

export interface PlainResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** null: the connection ends without an answer. */
export type Pages = Readonly<Record<string, () => PlainResponse | null | Promise<PlainResponse | null>>>;

export interface PageServer {
  readonly port: number;
  close(): Promise<void>;
}

const textType = 'text/plain; charset=utf-8';

/** @throws UserError HEALTH_LISTEN when the port is taken */
export async function servePages(port: number, host: string, pages: Pages): Promise<PageServer> {
  const server = http.createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    void answer(pages, request, response);
  });
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new UserError('HEALTH_LISTEN', `port ${port}: ${error.message}`)));
    server.listen({ port, host, ipv6Only: false }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(pages: Pages, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  request.resume();
  const path = (request.url ?? '').split('?')[0] ?? '';
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  let result: PlainResponse | null;
  try {
    if (page === undefined) result = plain(404, 'not found\n');
    else result = isRead ? await page() : plain(405, 'GET only\n');
  } catch (error) {
    result = plain(500, `${messageOf(error)}\n`);
  }
  if (result === null) {
    response.destroy();
    return;
  }
  response.writeHead(result.status, { 'content-type': result.contentType, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? '' : result.body);
}

export function plain(status: number, body: string): PlainResponse {
  return { status, contentType: textType, body };
}

/**
 * A page for each probe of the application, at the path that the injector handed out. Of a lifecycle call the kubelet
 * looks at the connection and not at the status, so that without an answer of the application it gets none from us.
 */
export function probePages(probes: AppProbes, target: ProbeTarget): Pages {
  const pages = Object.entries(probes).map(([path, probe]) => [
    path,
    async (): Promise<PlainResponse | null> => {
      const { ok, status, detail } = await runProbe(probe, target);
      if (status === 0 && isLifecycleCall(path)) return null;
      return plain(ok ? 200 : status >= 400 ? status : 503, `${detail}\n`);
    },
  ]);
  return Object.fromEntries(pages) as Pages;
}

function isLifecycleCall(path: string): boolean {
  return /\/(poststart|prestop)$/.test(path);
}
