/**
 * An application's own probe, made on its behalf as the kubelet would make it: to the pod's address, from the source
 * that interception lets through, without verifying a certificate. Bounded in bytes, redirects and time.
 */
import http from 'node:http';
import https from 'node:https';
import net, { isIPv6 } from 'node:net';
import { type AppProbe, type HttpAppProbe, inboundSource } from '@chainmail/runtime';

export interface ProbeResult {
  readonly ok: boolean;
  /** 0 when the application gave no answer. */
  readonly status: number;
  readonly detail: string;
}

export interface ProbeTarget {
  /** The pod's address. */
  readonly host: string;
  /** Source of the connection, or undefined for the system's choice. */
  readonly localAddress: string | undefined;
}

/** The kubelet follows as many, and reads as much. */
const maxRedirects = 10;
const maxBodyBytes = 10 * 1024;

export function probeTarget(podIp: string): ProbeTarget {
  return { host: podIp, localAddress: isIPv6(podIp) ? inboundSource.v6 : inboundSource.v4 };
}

/** Never rejects: whatever goes wrong is a failed probe. */
export async function runProbe(probe: AppProbe, target: ProbeTarget): Promise<ProbeResult> {
  const signal = AbortSignal.timeout(probe.timeoutMs);
  try {
    switch (probe.kind) {
      case 'httpGet':
        return await httpProbe(probe, target, signal);
      case 'tcpSocket':
        return await tcpProbe(probe.port, target, signal);
      case 'grpc': {
        const { grpcProbe } = await import('./grpc-probe.ts');
        return await grpcProbe(probe.port, probe.service, target, probe.timeoutMs);
      }
    }
  } catch (error) {
    const detail = signal.aborted ? `no answer within ${probe.timeoutMs} ms` : messageText(error);
    return { ok: false, status: 0, detail };
  }
}

async function httpProbe(probe: HttpAppProbe, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  let url = new URL(`${probe.scheme.toLowerCase()}://${hostText(target.host)}:${probe.port}/`);
  const [path = '', query] = splitPath(probe.path);
  url.pathname = path;
  if (query !== undefined) url.search = query;
  for (let hop = 0; ; hop++) {
    const { status, location } = await get(url, probe, target, signal);
    const next = location === undefined ? undefined : new URL(location, url);
    if (status < 300 || status >= 400 || next === undefined) return verdict(status);
    // A redirect to another host is not followed, and counts as a success: so does the kubelet.
    if (next.hostname !== url.hostname) return { ok: true, status: 200, detail: `redirects to ${next.hostname}` };
    if (hop === maxRedirects) return { ok: false, status: 503, detail: 'too many redirects' };
    url = next;
  }
}

function verdict(status: number): ProbeResult {
  const ok = status >= 200 && status < 400;
  return { ok, status, detail: `the application answered ${status}` };
}

function get(
  url: URL,
  probe: HttpAppProbe,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly location: string | undefined }> {
  const headers: Record<string, string | string[]> = {
    'user-agent': 'kube-probe/chainmail',
    accept: '*/*',
    connection: 'close',
  };
  for (const { name, value } of probe.headers) headers[name.toLowerCase()] = value;
  const options = { headers, signal, agent: false as const, ...source(target) };
  return new Promise((resolve, reject) => {
    const onResponse = (response: http.IncomingMessage): void => {
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBodyBytes) response.destroy();
      });
      response.on('error', () => undefined);
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
    };
    const request =
      url.protocol === 'https:'
        ? https.get(url, { ...options, rejectUnauthorized: false }, onResponse)
        : http.get(url, options, onResponse);
    request.on('error', reject);
  });
}

function tcpProbe(port: number, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: target.host, port, signal, ...source(target) });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ok: true, status: 200, detail: 'connected' });
    });
    socket.once('error', reject);
  });
}

export function source({ localAddress }: ProbeTarget): { localAddress?: string } {
  return localAddress === undefined ? {} : { localAddress };
}

export function hostText(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

function splitPath(path: string): readonly [string, string | undefined] {
  const at = path.indexOf('?');
  return at < 0 ? [path, undefined] : [path.slice(0, at), path.slice(at)];
}

function messageText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
