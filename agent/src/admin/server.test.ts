import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { type AdminCommand, ok, text } from './command.ts';
import { startAdminServer } from './server.ts';

const commands: readonly AdminCommand[] = [
  { path: '/look', help: 'looks', mutates: false, run: () => text('seen\n') },
  { path: '/change', help: 'changes', mutates: true, run: () => ok },
  {
    path: '/broken',
    help: 'throws',
    mutates: false,
    run: () => {
      throw new Error('oops');
    },
  },
];

function call(options: http.RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent: false, ...options }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body.trim()}`));
    });
    request.on('error', reject);
    request.end();
  });
}

test('in a pod the shared loopback may look, and only the socket may change', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'admin-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  const socketPath = path.join(dir, 'admin.sock');
  fs.writeFileSync(socketPath, 'left behind by a crash');
  const tcp = await startAdminServer({
    address: { kind: 'tcp', address: { ip: '127.0.0.1', port: 0 } },
    commands,
    mayMutate: false,
  });
  const pipe = await startAdminServer({
    address: { kind: 'pipe', path: socketPath, mode: 0o600 },
    commands,
    mayMutate: true,
  });
  t.teardown(() => Promise.all([tcp.close(), pipe.close()]));
  const port = Number(tcp.address.split(':')[1]);
  t.is(fs.statSync(socketPath).mode & 0o777, 0o600);
  t.is(await call({ host: '127.0.0.1', port, path: '/look' }), '200 seen');
  t.regex(await call({ host: '127.0.0.1', port, path: '/change', method: 'POST' }), /^403 /);
  t.is(await call({ socketPath, path: '/change', method: 'POST' }), '200 OK');
  t.is(await call({ socketPath, path: '/change' }), '405 Method GET not allowed, POST required.');
  t.is(await call({ socketPath, path: '/broken' }), '500 oops');
  t.is(await call({ socketPath, path: '/look', method: 'HEAD' }), '200 ');
});

test('a taken address is said to be taken', async (t) => {
  const tcp = (port: number) =>
    startAdminServer({ address: { kind: 'tcp', address: { ip: '127.0.0.1', port } }, commands, mayMutate: true });
  const first = await tcp(0);
  t.teardown(() => first.close());
  await t.throwsAsync(tcp(Number(first.address.split(':')[1])), { code: 'ADMIN_LISTEN', message: /EADDRINUSE/ });
});
