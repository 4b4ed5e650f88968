/**
 * The supervisor's API on its unix socket, for meshctl, the demo and the tests. Only root can reach the socket.
 * Routes: GET /status, GET /logs/NS/POD/CONTAINER, POST /exec, POST /stop, POST /components/NAME/ACTION,
 * and any method on /proxy/NS/POD/(admin|PORT)/PATH.
 */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { type Logger, messageOf, system, UserError } from '@chainmail/runtime';
import { type ApiContext, notFound, sendJson } from './api-context.ts';
import { type ComponentName, componentNames } from './control-plane.ts';
import { serveExec } from './exec-api.ts';
import { serveLog } from './log-api.ts';
import { serveProxy } from './proxy-api.ts';

async function serveComponent(name: string, action: string, query: URLSearchParams, api: ApiContext): Promise<void> {
  const known = componentNames.find((n): n is ComponentName => n === name);
  const component = known === undefined ? undefined : api.supervisor.component(known);
  if (component === undefined) throw notFound(`there is no component ${name}; known are ${componentNames.join(', ')}`);
  api.log.info({ part: name, action }, 'component');
  const downMs = query.get('downMs');
  if (action === 'kill') return component.kill(downMs === null ? undefined : Number(downMs));
  if (action === 'restart') return component.restart();
  if (action === 'stop') return component.stop();
  if (action === 'start') return component.start();
  throw notFound(`no action ${action}; known are kill, restart, stop, start`);
}

function logFileOf(parts: readonly string[], api: ApiContext): string {
  const [namespace = '', pod = '', container = ''] = parts;
  if (namespace === system.namespace) {
    const known = componentNames.find((n) => n === pod);
    if (known !== undefined) return path.join(api.paths.logs, system.namespace, `${known}.log`);
  }
  const runner = api.supervisor.runner(`${namespace}/${pod}`);
  if (runner === undefined) throw notFound(`there is no pod ${namespace}/${pod}`);
  const name = container === '' ? (runner.containerNames()[0] ?? '') : container;
  if (!runner.containerNames().includes(name)) {
    throw notFound(`pod ${namespace}/${pod} has no container ${name}; it has ${runner.containerNames().join(', ')}`);
  }
  return path.join(api.paths.logs, namespace, pod, `${name}.log`);
}

async function route(request: http.IncomingMessage, response: http.ServerResponse, api: ApiContext): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://dev');
  const [first = '', ...rest] = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const verb = `${request.method} ${first}`;
  if (first === 'proxy') return serveProxy(request, response, rest, url.search, api);
  if (verb === 'GET status') return sendJson(response, 200, api.supervisor.status());
  if (verb === 'GET pods') return sendJson(response, 200, api.supervisor.pods());
  if (verb === 'GET logs') return serveLog(request, response, logFileOf(rest, api), url.searchParams);
  if (verb === 'POST exec') return serveExec(request, response, api);
  if (verb === 'POST components') {
    await serveComponent(rest[0] ?? '', rest[1] ?? '', url.searchParams, api);
    return sendJson(response, 200, api.supervisor.status().components);
  }
  if (verb === 'POST stop') {
    response.on('finish', api.onStop);
    return sendJson(response, 202, { stopping: true });
  }
  throw notFound(`${request.method} ${url.pathname}`);
}

/** Answers with `{code, message, hint}` for what goes wrong. */
function sendError(response: http.ServerResponse, error: unknown, log: Logger): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (error instanceof UserError) {
    const code = error.code === 'LOCAL_NOT_FOUND' ? 404 : 409;
    sendJson(response, code, { code: error.code, message: error.message, hint: error.hint });
    return;
  }
  log.error({ err: error }, 'request failed');
  sendJson(response, 500, { code: 'LOCAL_INTERNAL', message: messageOf(error) });
}

export function startApiServer(api: ApiContext): Promise<{ close: () => void }> {
  const server = http.createServer((request, response) => {
    route(request, response, api).catch((error: unknown) => sendError(response, error, api.log));
  });
  server.requestTimeout = 0; // logs -f and exec last as long as somebody looks
  fs.rmSync(api.paths.socket, { force: true });
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(api.paths.socket, () => {
      fs.chmodSync(api.paths.socket, 0o600);
      done({
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}
