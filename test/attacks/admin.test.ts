/** The admin interface as a way in: from a browser, with bodies, odd targets and expressions (CVE-2026-31838 class). */
import http from 'node:http';
import test from 'ava';
import { Agent } from './agent.ts';
import { startApp } from './app.ts';
import { Signer } from './certificates.ts';
import { send } from './wire.ts';

const post = (target: string, headers: string): string =>
  `POST ${target} HTTP/1.1\r\n${headers}Content-Length: 0\r\n\r\n`;

test('a page in a browser cannot use it, whatever name it gave to loopback', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const port = agent.adminPort;
  const own = `Host: 127.0.0.1:${port}\r\n`;
  const foreign: readonly [name: string, bytes: string][] = [
    ['DNS rebinding', `GET /config_dump HTTP/1.1\r\nHost: evil.test:${port}\r\n\r\n`],
    ['a form of another page', post('/quitquitquit', `${own}Origin: http://evil.test\r\n`)],
    ['a sandboxed page', post('/quitquitquit', `${own}Origin: null\r\n`)],
    ['a picture', `GET /stats HTTP/1.1\r\n${own}Sec-Fetch-Site: cross-site\r\n\r\n`],
    ['GET where POST is due', `GET /quitquitquit HTTP/1.1\r\n${own}\r\n`],
    ['HEAD where POST is due', `HEAD /quitquitquit HTTP/1.1\r\n${own}\r\n`],
  ];
  for (const [name, bytes] of foreign) {
    const { statuses, text } = await send(port, bytes);
    t.true(statuses[0] === 403 || statuses[0] === 405, `${name}: ${text}`);
  }
  t.true(agent.alive);
  t.is((await send(port, `GET /ready HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)).statuses[0], 200);
});

test('private keys do not come out, and no target takes it down', async (t) => {
  const root = Signer.root();
  t.teardown(() => root.remove());
  const server = root.issue({ san: 'URI:spiffe://cluster.local/ns/shop/sa/server' });
  const app = await startApp();
  t.teardown(() => app.close());
  const tls = {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
    common_tls_context: {
      tls_certificates: [
        { certificate_chain: { inline_string: server.chainPem }, private_key: { inline_string: server.keyPem } },
      ],
    },
  };
  const agent = await Agent.start({ appPort: app.port, tls });
  t.teardown(() => agent.stop());
  const secret = server.keyPem.split('\n').find((l) => l.length > 40 && !l.startsWith('-')) ?? 'no key';
  const targets = [
    '/config_dump',
    '/config_dump?include_eds',
    '/config_dump?resource=dynamic_active_secrets',
    '/config_dump?resource=__proto__',
    '/config_dump?mask=constructor.prototype',
    '/certs',
    '/stats?filter=(a%2B)%2B%24',
    '/stats?filter=(((((((((((((((((((((((a*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*',
    '/stats?filter=%5B',
    '/stats?format=__proto__',
    '/logging?level=__proto__',
    '//config_dump',
    '/../config_dump',
    `/${'a'.repeat(8000)}`,
    '/clusters?format=%00',
    'http://[',
    '*',
  ];
  for (const target of targets) {
    const { text, statuses, tookMs } = await send(
      agent.adminPort,
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      {
        until: () => false,
        timeoutMs: 5000,
      },
    );
    t.true(statuses.length === 1, `${target}: ${text.slice(0, 200)}`);
    t.true(tookMs < 4000, `${target}: ${tookMs} ms`);
    t.false(text.includes(secret), target);
    t.false(/BEGIN (?:EC )?PRIVATE/.test(text), target);
  }
  t.is((await agent.admin('/ready')).status, 200);
  const sent = await new Promise<number>((resolve) => {
    const request = http.request({ port: agent.adminPort, host: '127.0.0.1', path: '/ready', method: 'POST' });
    request.on('error', () => resolve(request.socket?.bytesWritten ?? 0));
    request.on('response', (response) => response.resume());
    const chunk = Buffer.alloc(65_536);
    const more = (): void => {
      if ((request.socket?.bytesWritten ?? 0) > 64 * 1024 * 1024) resolve(Number.POSITIVE_INFINITY);
      else if (!request.destroyed) request.write(chunk, () => setImmediate(more));
    };
    more();
  });
  t.true(sent < 16 * 1024 * 1024, 'a body is not read without end');
});
