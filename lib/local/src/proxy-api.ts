/**
 * /proxy/NS/POD/admin/PATH goes to the agent's admin socket in the pod's volume, /proxy/NS/POD/PORT/PATH to the
 * pod's address, as the API server's pod proxy does.
 */
import http from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { containers, messageOf, podPaths, system, UserError } from '@chainmail/runtime';
import { type ApiContext, notFound, sendJson } from './api-context.ts';
import { componentNames } from './control-plane.ts';
import type { PodRunner } from './pod-runner.ts';

/** The agent's admin socket as a path here; undefined for a pod without an agent. */
function adminSocket(runner: PodRunner): string | undefined {
  const all = [...runner.pod.spec.containers, ...(runner.pod.spec.initContainers ?? [])];
  const agent = all.find((c) => c.name === containers.agent);
  const mount = agent?.volumeMounts?.find((m) => m.mountPath === path.dirname(podPaths.adminSocket));
  return mount === undefined
    ? undefined
    : path.join(runner.volumePath(mount.name), path.basename(podPaths.adminSocket));
}

function targetOf(runner: PodRunner, where: string): http.RequestOptions {
  if (where === 'admin') {
    const socketPath = adminSocket(runner);
    if (socketPath === undefined) throw notFound(`pod ${runner.key} has no agent`);
    return { socketPath };
  }
  const port = Number(where);
  const host = runner.pod.status?.podIP;
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw notFound(`'${where}' is neither admin nor a port`);
  if (host === undefined) throw new UserError('LOCAL_NOT_RUNNING', `pod ${runner.key} has no address yet`);
  return { host, port };
}

/** A process of the mesh itself listens on the node; it tells its inside to the node's loopback only. */
function componentTarget(namespace: string, name: string, where: string): http.RequestOptions | undefined {
  if (namespace !== system.namespace || !componentNames.some((n) => n === name)) return undefined;
  const port = Number(where);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw notFound(`'${where}' is no port`);
  return { host: '127.0.0.1', port };
}

function runnerOf(namespace: string, pod: string, api: ApiContext): PodRunner {
  const runner = api.supervisor.runner(`${namespace}/${pod}`);
  if (runner === undefined) throw notFound(`there is no pod ${namespace}/${pod}`);
  return runner;
}

export async function serveProxy(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  parts: readonly string[],
  search: string,
  api: ApiContext,
): Promise<void> {
  const [namespace = '', pod = '', where = '', ...rest] = parts;
  const target = componentTarget(namespace, pod, where) ?? targetOf(runnerOf(namespace, pod, api), where);
  const options = {
    ...target,
    method: request.method ?? 'GET',
    path: `/${rest.map(encodeURIComponent).join('/')}${search}`,
    headers: { ...request.headers, host: where === 'admin' ? 'localhost' : `${target.host}:${target.port}` },
    agent: false,
  };
  const upstream = http.request(options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    pipeline(answer, response, () => {}); // an answer that breaks off ends the connection, rather than hanging it
  });
  upstream.on('error', (error) => {
    if (response.headersSent) response.destroy();
    else sendJson(response, 502, { code: 'LOCAL_PROXY', message: `${namespace}/${pod} ${where}: ${messageOf(error)}` });
  });
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}
