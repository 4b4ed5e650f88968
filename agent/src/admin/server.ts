/**
 * The admin interface over HTTP: on a loopback port and, in a pod, on a unix socket that only the agent's uid may use.
 * Invariant: over TCP in a pod nothing can be changed, for the application shares that loopback.
 */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import path from 'node:path';
import { messageOf, UserError } from '@chainmail/runtime';
import { addressText } from '../config/address.ts';
import type { AdminAddress } from '../config/bootstrap.ts';
import { type AdminCommand, type AdminResponse, text } from './command.ts';
import { foreignOrigin, isLoopbackAddress } from './origin.ts';

export interface AdminServerOptions {
  readonly address: AdminAddress;
  readonly commands: readonly AdminCommand[];
  readonly mayMutate: boolean;
}

export interface AdminServer {
  /** `127.0.0.1:15000`, or the path of the socket. */
  readonly address: string;
  close(): Promise<void>;
}

/** No command takes a body worth reading. */
const maxBodyBytes = 64 * 1024;

/** @throws UserError ADMIN_LISTEN when the address is taken */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = http.createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    void answer(options, request, response);
  });
  const address = await listen(server, options.address);
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        if (options.address.kind === 'pipe') fs.rmSync(options.address.path, { force: true });
      }),
  };
}

async function listen(server: http.Server, address: AdminAddress): Promise<string> {
  if (address.kind === 'pipe') {
    await listenOnSocket(server, address.path, address.mode);
    return address.path;
  }
  await bind(server, { host: address.address.ip, port: address.address.port });
  return addressText({ ip: address.address.ip, port: (server.address() as AddressInfo).port });
}

/** Made in a folder that is ours alone and moved out with its mode: at no moment can others connect. */
async function listenOnSocket(server: http.Server, socketPath: string, mode: number): Promise<void> {
  const nursery = fs.mkdtempSync(`${socketPath}.`);
  try {
    const fresh = path.join(nursery, 's');
    await bind(server, { path: fresh });
    if (mode !== 0) fs.chmodSync(fresh, mode);
    fs.renameSync(fresh, socketPath);
  } finally {
    fs.rmSync(nursery, { recursive: true, force: true });
  }
}

function bind(server: http.Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new UserError('ADMIN_LISTEN', `admin: ${error.message}`)));
    server.listen(options, resolve);
  });
}

async function answer(
  options: AdminServerOptions,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  drop(request);
  let result: AdminResponse;
  try {
    result = await dispatch(options, request);
  } catch (error) {
    result = text(`${messageOf(error)}\n`, 500);
  }
  response.writeHead(result.status, {
    'content-type': result.contentType,
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
    server: 'envoy',
    'transfer-encoding': 'chunked',
  });
  response.end(request.method === 'HEAD' ? '' : result.body);
}

/** Reads a body away, up to a bound. */
function drop(request: http.IncomingMessage): void {
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBodyBytes) request.destroy();
  });
}

function dispatch(
  { commands, mayMutate, address }: AdminServerOptions,
  request: http.IncomingMessage,
): AdminResponse | Promise<AdminResponse> {
  if (address.kind !== 'pipe') {
    const foreign = foreignOrigin(request.headers, isLoopbackAddress(address.address.ip));
    if (foreign !== null) return text(`${foreign}\n`, 403);
  }
  const method = request.method ?? 'GET';
  const url = new URL(request.url ?? '/', 'http://admin');
  const command = commands.find((c) => c.path === url.pathname);
  if (command === undefined) {
    return text(`invalid path. admin commands are:\n${helpText(commands)}`, 404);
  }
  if (!command.mutates) return command.run(url.searchParams);
  if (method !== 'POST') return text(`Method ${method} not allowed, POST required.`, 405);
  if (!mayMutate) {
    return text('in a pod this is possible over the unix socket of the admin interface only\n', 403);
  }
  return command.run(url.searchParams);
}

export function helpText(commands: readonly AdminCommand[]): string {
  const shown = [...commands].sort((a, b) => (a.path < b.path ? -1 : 1));
  return shown.map((c) => `  ${c.path}${c.mutates ? ' (POST)' : ''}: ${c.help}\n`).join('');
}
