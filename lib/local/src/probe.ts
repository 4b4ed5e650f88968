/** One probe or lifecycle call, made from the node's side as the kubelet makes it: success, or the reason against. */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { messageOf } from '@chainmail/runtime';
import type { Container, Handler, HttpGet } from './pod.ts';

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface ProbeTarget {
  readonly podIp: string;
  readonly container: Container;
  /** Runs a command in the container; gives its exit code. */
  readonly exec: (command: readonly string[], timeoutMs: number) => Promise<number>;
}

const failed = (reason: string): ProbeResult => ({ ok: false, reason });

function portNumber(port: number | string, container: Container): number | undefined {
  if (typeof port === 'number') return port;
  if (/^[0-9]+$/.test(port)) return Number(port);
  return container.ports?.find((p) => p.name === port)?.containerPort;
}

function httpGet(get: HttpGet, port: number, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const secure = get.scheme?.toUpperCase() === 'HTTPS';
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.34', accept: '*/*', connection: 'close' };
  for (const h of get.httpHeaders ?? []) headers[h.name.toLowerCase()] = h.value;
  return new Promise((done) => {
    const options = {
      host: get.host ?? target.podIp,
      port,
      path: get.path === undefined || get.path === '' ? '/' : get.path,
      headers,
      agent: false,
      timeout: timeoutMs,
      rejectUnauthorized: false, // the kubelet does not verify either: a probe asks whether, not who
    };
    const request = (secure ? https : http).get(options, (response) => {
      const code = response.statusCode ?? 0;
      response.resume();
      done(code >= 200 && code < 400 ? { ok: true } : failed(`HTTP status ${code}`));
    });
    const deadline = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    request.on('error', (error) => done(failed(messageOf(error))));
    request.on('close', () => clearTimeout(deadline));
  });
}

function tcpConnect(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((done) => {
    const socket = net.connect({ host, port, timeout: timeoutMs });
    const finish = (result: ProbeResult): void => {
      socket.destroy();
      done(result);
    };
    socket.on('connect', () => finish({ ok: true }));
    socket.on('timeout', () => finish(failed(`no connection in ${timeoutMs} ms`)));
    socket.on('error', (error) => finish(failed(messageOf(error))));
  });
}

export async function runHandler(handler: Handler, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  if (handler.exec !== undefined) {
    const code = await target.exec(handler.exec.command, timeoutMs);
    return code === 0 ? { ok: true } : failed(`exit code ${code}`);
  }
  const wanted = handler.httpGet?.port ?? handler.tcpSocket?.port;
  if (wanted === undefined) return failed('no kind of probe that runs here');
  const port = portNumber(wanted, target.container);
  if (port === undefined) return failed(`container ${target.container.name} has no port named ${wanted}`);
  if (handler.httpGet !== undefined) return httpGet(handler.httpGet, port, target, timeoutMs);
  return tcpConnect(handler.tcpSocket?.host ?? target.podIp, port, timeoutMs);
}
