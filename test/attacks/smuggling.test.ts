/**
 * Request smuggling, in the variants of RFC 9112 section 11.2 and of the advisories: each probe carries a request for
 * /smuggled. Nothing of a message that two readers could take apart differently may reach the application.
 */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import test from 'ava';
import { startNaiveProxy } from '../fakes/naive-proxy.ts';
import { Agent } from './agent.ts';
import { startApp } from './app.ts';
import { send } from './wire.ts';

interface Probe {
  readonly name: string;
  readonly bytes: string;
  /** Status of the only answer; it closes the connection. */
  readonly status: number;
}

const inner = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (headers: string, body: string): string => `POST / HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n${body}`;
const chunked = (body: string, headers = 'Transfer-Encoding: chunked'): string => post(headers, body);

const probes: readonly Probe[] = [
  // CL.TE, TE.CL, TE.TE: the classes of Linhart et al. 2005 and Kettle 2019 (CVE-2019-18277, CVE-2020-11724).
  {
    name: 'CL.TE',
    bytes: post('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${inner}`),
    status: 400,
  },
  {
    name: 'TE.CL',
    bytes: post('Transfer-Encoding: chunked\r\nContent-Length: 4', `5c\r\n${inner}\r\n0\r\n\r\n`),
    status: 400,
  },
  {
    name: 'TE.TE, the second unknown',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x'),
    status: 501,
  },
  {
    name: 'TE.TE, twice chunked',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: chunked, chunked'),
    status: 501,
  },
  {
    name: 'chunked is not the last coding',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: chunked, identity'),
    status: 501,
  },
  {
    name: 'identity before chunked',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: identity, chunked'),
    status: 501,
  },
  { name: 'xchunked', bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: xchunked'), status: 501 },
  { name: 'quoted coding', bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: "chunked"'), status: 501 },
  {
    name: 'coding with a parameter',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: chunked;q=1'),
    status: 501,
  },
  { name: 'an empty coding', bytes: chunked(inner, 'Transfer-Encoding:'), status: 501 },
  {
    name: 'vertical tab before the coding',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: \x0bchunked'),
    status: 400,
  },
  { name: 'NUL in the coding', bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding: chunked\0'), status: 400 },
  { name: 'space before the colon', bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding : chunked'), status: 400 },
  { name: 'tab before the colon', bytes: post('Content-Length\t: 0', inner), status: 400 },
  {
    name: 'folded coding (obs-fold)',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Transfer-Encoding:\r\n chunked'),
    status: 400,
  },
  { name: 'folded header', bytes: post('X: a\r\n\tTransfer-Encoding: chunked', inner), status: 400 },
  {
    name: 'leading space on the first field',
    bytes: `GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n${inner}`,
    status: 400,
  },
  {
    name: 'chunked on HTTP/1.0 (CVE-2022-32214 class)',
    bytes: `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    status: 400,
  },
  // Content-Length: duplicate, list, sign, blank, other digits, overflow (CVE-2018-7159, CVE-2021-22960).
  { name: 'two lengths', bytes: post('Content-Length: 0\r\nContent-Length: 40', inner), status: 400 },
  { name: 'the same length twice', bytes: post('Content-Length: 0\r\nContent-Length: 0', inner), status: 400 },
  { name: 'a list of lengths', bytes: post('Content-Length: 0, 40', inner), status: 400 },
  { name: 'length with a sign', bytes: post('Content-Length: +0', inner), status: 400 },
  { name: 'negative length', bytes: post('Content-Length: -1', inner), status: 400 },
  { name: 'length in hex', bytes: post('Content-Length: 0x0', inner), status: 400 },
  { name: 'length with a space inside', bytes: post('Content-Length: 0 0', inner), status: 400 },
  { name: 'empty length', bytes: post('Content-Length:', inner), status: 400 },
  { name: 'length beyond 2^64', bytes: post('Content-Length: 18446744073709551616', inner), status: 400 },
  { name: 'length beyond 2^53', bytes: post('Content-Length: 9007199254740993', inner), status: 400 },
  // Line ends (CVE-2022-32215, CVE-2020-8287, CVE-2023-30589): a bare LF or CR ends a line for some.
  { name: 'bare LF as line ends', bytes: `GET / HTTP/1.1\nHost: a\n\n${inner}`, status: 400 },
  { name: 'bare LF ends one field', bytes: post('X: y\nTransfer-Encoding: chunked', inner), status: 400 },
  { name: 'bare CR inside a field', bytes: post('X: y\rTransfer-Encoding: chunked', inner), status: 400 },
  { name: 'CR CR LF', bytes: post('X: y\r\r\nTransfer-Encoding: chunked', inner), status: 400 },
  { name: 'bare LF before the first line', bytes: `\nGET / HTTP/1.1\r\nHost: a\r\n\r\n${inner}`, status: 400 },
  { name: 'NUL in a value', bytes: post('X: a\0b', inner), status: 400 },
  { name: 'a field without a name', bytes: post(': x', inner), status: 400 },
  { name: 'a field without a colon', bytes: post('Transfer-Encoding', inner), status: 400 },
  { name: '8-bit byte in a name', bytes: post('Transfer-Encodin\xe7: chunked', inner), status: 400 },
  // Chunk sizes (CVE-2022-32213, CVE-2023-30589, CVE-2025-22871, CVE-2025-55315): each is read in two ways somewhere.
  { name: 'chunk size with 0x', bytes: chunked(`0x0\r\n\r\n${inner}`), status: 400 },
  { name: 'chunk size with a sign', bytes: chunked(`+0\r\n\r\n${inner}`), status: 400 },
  { name: 'chunk size with an underscore', bytes: chunked(`0_0\r\n\r\n${inner}`), status: 400 },
  { name: 'chunk size of 17 digits', bytes: chunked(`1${'0'.repeat(16)}\r\n${inner}`), status: 400 },
  { name: 'chunk size of a thousand zeros', bytes: chunked(`${'0'.repeat(5000)}\r\n\r\n${inner}`), status: 400 },
  { name: 'no chunk size', bytes: chunked(`\r\n${inner}`), status: 400 },
  { name: 'chunk size, space', bytes: chunked(`0 \r\n\r\n${inner}`), status: 400 },
  { name: 'bare LF behind a chunk size', bytes: chunked(`0\n\r\n${inner}`), status: 400 },
  { name: 'bare LF in a chunk extension', bytes: chunked(`1;a\nx\r\n0\r\n\r\n${inner}`), status: 400 },
  { name: 'bare CR in a chunk extension', bytes: chunked(`1;a\rx\r\n0\r\n\r\n${inner}`), status: 400 },
  { name: 'more data than the chunk size says', bytes: chunked(`1\r\nab\r\n0\r\n\r\n${inner}`), status: 400 },
  { name: 'bare LF behind chunk data', bytes: chunked(`1\r\na\n0\r\n\r\n${inner}`), status: 400 },
  {
    name: 'chunk extensions without end',
    bytes: chunked(`1;${'a'.repeat(70_000)}\r\na\r\n0\r\n\r\n${inner}`),
    status: 400,
  },
  { name: 'bare LF in the trailers', bytes: chunked(`0\r\nX: y\n\r\n${inner}`), status: 400 },
  { name: 'folded trailer', bytes: chunked(`0\r\nX: y\r\n z\r\n\r\n${inner}`), status: 400 },
  // Request lines: versions, targets and Hosts that name another resource for another reader.
  { name: 'HTTP/0.9', bytes: `GET /smuggled\r\n`, status: 426 },
  { name: 'HTTP/1.0 where it is not accepted', bytes: 'GET /smuggled HTTP/1.0\r\nHost: a\r\n\r\n', status: 426 },
  { name: 'HTTP/2.0 on a text line', bytes: 'GET /smuggled HTTP/2.0\r\nHost: a\r\n\r\n', status: 426 },
  { name: 'HTTP/1.2', bytes: 'GET /smuggled HTTP/1.2\r\nHost: a\r\n\r\n', status: 426 },
  { name: 'lower-case version', bytes: 'GET /smuggled http/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'lower-case method', bytes: 'get /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'something behind the version', bytes: 'GET /smuggled HTTP/1.1 x\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'two targets', bytes: 'GET / /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'almost a preface of HTTP/2', bytes: `PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n${inner}`, status: 400 },
  { name: 'two Hosts', bytes: 'GET /smuggled HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', status: 400 },
  { name: 'no Host', bytes: 'GET /smuggled HTTP/1.1\r\n\r\n', status: 400 },
  { name: 'a list of Hosts', bytes: 'GET /smuggled HTTP/1.1\r\nHost: a b\r\n\r\n', status: 400 },
  { name: 'Host with a path', bytes: 'GET /smuggled HTTP/1.1\r\nHost: a/b\r\n\r\n', status: 400 },
  { name: 'absolute form of another host', bytes: 'GET http://b/smuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'absolute form with user info', bytes: 'GET http://b@a/smuggled HTTP/1.1\r\nHost: b\r\n\r\n', status: 400 },
  { name: 'another scheme', bytes: 'GET file:///smuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  {
    name: 'authority form without CONNECT',
    bytes: 'GET a:80 HTTP/1.1\r\nHost: a\r\nX: /smuggled\r\n\r\n',
    status: 400,
  },
  { name: 'CONNECT', bytes: 'CONNECT smuggled:80 HTTP/1.1\r\nHost: smuggled:80\r\n\r\n', status: 404 },
  { name: 'fragment', bytes: 'GET /#/smuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: '8-bit path', bytes: 'GET /smuggled\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'tab in the path', bytes: 'GET /\tsmuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { name: 'no slash', bytes: 'GET smuggled HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  // Headers of a proxy's own that Connection would have it drop (CVE-2021-33197, CVE-2022-31813).
  {
    name: 'Connection drops the length',
    bytes: post('Connection: content-length\r\nContent-Length: 40', inner.padEnd(40)),
    status: 400,
  },
  {
    name: 'Connection drops the framing',
    bytes: chunked(`0\r\n\r\n${inner}`, 'Connection: transfer-encoding\r\nTransfer-Encoding: chunked'),
    status: 400,
  },
  { name: 'Connection drops Host', bytes: post('Connection: host\r\nContent-Length: 0', inner), status: 400 },
  // Upgrade (CVE-2024-23326, CVE-2025-64763): the tunnel does not begin before the application's 101.
  {
    name: 'Upgrade that is not configured, a request behind it',
    bytes: `GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n${inner}`,
    status: 403,
  },
];

const split = (bytes: string): string[] => bytes.match(/[\s\S]{1,7}/g) ?? [];

test('no byte of an ambiguous message passes the agent, in one piece or in many', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  for (const probe of probes) {
    const { bytes } = probe;
    for (const pieces of [[bytes], bytes.length > 2000 ? [bytes] : split(bytes)]) {
      app.reset();
      const { statuses, closed, text } = await send(agent.port, pieces, { until: () => false, timeoutMs: 8000 });
      t.is(statuses[0], probe.status, `${probe.name}: ${text.slice(0, 200)}`);
      t.is(statuses.length, 1, `${probe.name}: one answer`);
      t.true(closed, `${probe.name}: the connection is closed`);
      t.false(app.raw().includes('smuggled'), `${probe.name}: ${app.raw()}`);
      t.deepEqual(
        app.requests.map((r) => r.url).filter((u) => u !== '/'),
        [],
        probe.name,
      );
    }
  }
  t.true(agent.alive);
});

/** Whoever reads on as HTTP/1.1 behind the preface sees a request there. */
test('text behind the preface of HTTP/2 is a broken frame, or a broken request where only HTTP/1.1 is spoken', async (t) => {
  const bytes = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${inner}`;
  for (const codec of ['AUTO', 'HTTP1'] as const) {
    const app = await startApp();
    const agent = await Agent.start({ appPort: app.port, manager: { codec_type: codec } });
    for (const pieces of [[bytes], split(bytes)]) {
      const { statuses, closed, text } = await send(agent.port, pieces, { until: () => false, timeoutMs: 8000 });
      t.true(closed, codec);
      if (codec === 'AUTO') t.true(isGoaway(text), JSON.stringify(text));
      t.deepEqual(statuses, codec === 'AUTO' ? [] : [400], codec);
    }
    t.is(app.raw(), '', codec);
    await agent.stop();
    await app.close();
  }
});

/** Whether the last frame is GOAWAY with FRAME_SIZE_ERROR or PROTOCOL_ERROR (RFC 9113 section 7). */
function isGoaway(text: string): boolean {
  const bytes = Buffer.from(text, 'latin1');
  let last = -1;
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) last = at;
  return last >= 0 && bytes[last + 3] === 7 && [1, 6].includes(bytes.readUInt32BE(last + 13));
}

test('the same probes harm a proxy that pipes', async (t) => {
  let raw = '';
  const sink = net.createServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      raw += chunk.toString('latin1');
      if (raw.includes('smuggled') && !socket.writableEnded) socket.end('seen');
    });
    socket.on('error', () => socket.destroy());
  });
  sink.listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const naive = await startNaiveProxy({ upstream: (sink.address() as AddressInfo).port });
  t.teardown(() => naive.close());
  t.teardown(() => sink.close());
  const harmless: string[] = [];
  for (const probe of probes) {
    raw = '';
    await send(naive.port, probe.bytes, { until: (text) => text.includes('seen'), timeoutMs: 5000 });
    if (!raw.includes('smuggled')) harmless.push(probe.name);
  }
  t.deepEqual(harmless, [], 'these would prove nothing');
});

const websocket = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n';

/** CVE-2024-23326, CVE-2025-64763: what comes behind an Upgrade is a request like any other unless there was a 101. */
test('a request behind an Upgrade that was refused is authorised by itself', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const rbac = {
    action: 'DENY',
    policies: { p: { permissions: [{ url_path: { path: { prefix: '/smuggled' } } }], principals: [{ any: true }] } },
  } as const;
  const agent = await Agent.start({
    appPort: app.port,
    rbac,
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
  });
  t.teardown(() => agent.stop());
  const { statuses } = await send(agent.port, `${websocket}\r\n${inner}`, {
    until: (text) => (text.match(/HTTP\/1\.1/g) ?? []).length === 2,
  });
  t.is(statuses[0], 403, 'the application refuses');
  t.not(statuses[1], 200, 'our own policy refuses, if the connection is still open');
  t.false(app.raw().includes('/smuggled'), app.raw());
  app.reset();
  const withBody = await send(agent.port, `${websocket}Content-Length: 5\r\n\r\nhello${inner}`);
  t.is(withBody.statuses[0], 400);
  t.false(app.raw().includes('smuggled'));
});

test('what is plain is passed on from its parsed form: pipelines, chunks and trailers', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const body = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
  const bytes = [
    post(`Content-Length: ${body.length}`, body),
    chunked(`${body.length.toString(16)};ext=1\r\n${body}\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n`),
    'GET http://A/abs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ].join('');
  const { statuses } = await send(agent.port, bytes, { until: () => false });
  t.deepEqual(statuses, [200, 200, 200]);
  t.deepEqual(
    app.requests.map((r) => [r.url, r.body]),
    [
      ['/', body],
      ['/', body],
      ['/abs', ''],
    ],
  );
  t.false(app.raw().includes('ext=1'), 'chunk extensions end here');
  t.false(/x-sum: 1\r\ncontent-length: 3/i.test(app.raw()), 'a trailer is no framing');
});
