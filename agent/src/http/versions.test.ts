/** Every combination of HTTP/1.1 and HTTP/2 at the client and at the upstream, with Node's own peers on real sockets. */
import test, { type ExecutionContext } from 'ava';
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import { LoopbackAgent } from './testing/loopback-agent.ts';
import {
  type App,
  type Client,
  connect,
  type Received,
  type Reply,
  startApp,
  type Version,
} from './testing/node-peers.ts';
import { endpoint } from './testing/specs.ts';

const versions = ['http1', 'http2'] as const;

interface Rig {
  readonly agent: LoopbackAgent;
  readonly app: App;
  readonly client: Client;
}

interface Wanted {
  readonly reply?: (request: Received) => Reply;
  readonly manager?: Partial<HttpConnectionManagerSpec>;
}

async function rig(t: ExecutionContext, down: Version, up: Version, wanted: Wanted = {}): Promise<Rig> {
  const app = await startApp(up, wanted.reply ?? (() => ({ body: 'hello' })));
  const agent = new LoopbackAgent({
    endpoints: [endpoint(app.port, '127.0.0.1')],
    cluster: { protocol: up },
    ...(wanted.manager === undefined ? {} : { manager: wanted.manager }),
  });
  const client = connect(down, agent.port);
  t.teardown(async () => {
    client.close();
    agent.close();
    await app.close();
    if (agent.faults.length > 0) throw new Error(agent.faults.join('\n'));
  });
  return { agent, app, client };
}

for (const down of versions) {
  for (const up of versions) {
    const name = `${down} to ${up}`;

    test(`${name}: a GET without a body`, async (t) => {
      const { client, app, agent } = await rig(t, down, up, {
        reply: () => ({ body: 'hello', headers: { 'x-a': 'b' } }),
      });
      const answer = await client.ask({ path: '/p?q', headers: { 'x-asked': '1' } });
      t.is(answer.status, 200);
      t.is(answer.body, 'hello');
      t.is(answer.headers['x-a'], 'b');
      const got = app.received[0];
      t.like(got, { method: 'GET', path: '/p?q', body: '', version: up === 'http1' ? '1.1' : '2.0' });
      t.is(got?.headers['x-asked'], '1');
      t.is(got?.headers[up === 'http1' ? 'host' : ':authority'], 'app.example');
      t.is(agent.http(`downstream_rq_${down}_total`), 1);
      t.is(agent.cluster(`upstream_cx_${up}_total`), 1);
      t.like(agent.logged[0], { status: 200, details: 'via_upstream' });
    });

    test(`${name}: a POST with a length, and one without`, async (t) => {
      const { client, app } = await rig(t, down, up, { reply: (r) => ({ body: r.body }) });
      const large = 'x'.repeat(300_000);
      const answer = await client.ask({ method: 'POST', body: large, headers: { 'content-length': '300000' } });
      t.is(answer.body.length, 300_000);
      t.is(app.received[0]?.headers['content-length'], '300000');
      const pieces = Array.from({ length: 20 }, (_, i) => `${i}-`.repeat(1000));
      t.is((await client.ask({ method: 'POST', body: pieces })).body, pieces.join(''));
      t.is((await client.ask({ method: 'POST', body: '' })).status, 200);
    });

    test(`${name}: trailers both ways`, async (t) => {
      const { client, app } = await rig(t, down, up, {
        reply: () => ({ body: 'b', trailers: { 'grpc-status': '0', 'x-sum': 's' } }),
      });
      const headers = down === 'http1' ? { trailer: 'x-end', 'transfer-encoding': 'chunked' } : {};
      const answer = await client.ask({ method: 'POST', body: 'a', trailers: { 'x-end': 'e' }, headers });
      t.is(answer.body, 'b');
      t.is(answer.trailers['grpc-status'], '0');
      t.is(answer.trailers['x-sum'], 's');
      t.is(app.received[0]?.trailers['x-end'], 'e');
    });

    test(`${name}: HEAD, 204, 304, and answers without a body`, async (t) => {
      const { client } = await rig(t, down, up, {
        reply: (r) =>
          r.method === 'HEAD' ? { headers: { 'content-length': '42' } } : { status: Number(r.path.slice(1)) },
      });
      const head = await client.ask({ method: 'HEAD' });
      t.like(head, { status: 200, body: '' });
      t.is(head.headers['content-length'], '42');
      for (const status of [204, 304, 200, 404]) {
        const answer = await client.ask({ path: `/${status}` });
        t.like(answer, { status, body: '' });
        if (status === 204) t.is(answer.headers['content-length'], undefined);
      }
    });

    test(`${name}: early hints are passed on`, async (t) => {
      const { client } = await rig(t, down, up, { reply: () => ({ body: 'b', hints: true }) });
      const answer = await client.ask({});
      t.is(answer.body, 'b');
      t.deepEqual(answer.informational, [103]);
    });

    test(`${name}: an answer that is cut is cut for the client`, async (t) => {
      const { client, agent } = await rig(t, down, up, {
        reply: () => ({ body: 'part', headers: { 'content-length': '100' }, cut: true }),
      });
      await t.throwsAsync(client.ask({}));
      t.is(agent.cluster('upstream_rq_active'), 0);
      t.is(agent.http('downstream_rq_active'), 0);
    });

    test(`${name}: many at once, each its own answer`, async (t) => {
      const { client, agent } = await rig(t, down, up, { reply: (r) => ({ body: `${r.path}${r.body}` }) });
      const asked = Array.from({ length: 200 }, (_, i) => i);
      const answers = await Promise.all(
        asked.map((i) => client.ask({ path: `/${i}`, ...(i % 2 === 0 ? {} : { method: 'POST', body: `b${i}` }) })),
      );
      t.deepEqual(
        answers.map((a) => a.body),
        asked.map((i) => (i % 2 === 0 ? `/${i}` : `/${i}b${i}`)),
      );
      t.is(agent.cluster('upstream_rq_active'), 0);
      if (up === 'http2') t.true(agent.cluster('upstream_cx_http2_total') <= 3);
    });

    test(`${name}: a large answer, taken slowly, whole`, async (t) => {
      const body = '0123456789'.repeat(200_000);
      const { client } = await rig(t, down, up, { reply: () => ({ body }) });
      const answers = await Promise.all([client.ask({}), client.ask({}), client.ask({})]);
      for (const a of answers) t.true(a.body === body);
    });

    test(`${name}: local replies`, async (t) => {
      const { client, agent } = await rig(t, down, up, { manager: { escapedSlashes: 'reject' } });
      const refused = await client.ask({ path: '/a%2fb' });
      t.is(refused.status, 400);
      const posted = await client.ask({ path: '/a%2fb', method: 'POST', body: 'x'.repeat(100_000) }).catch(() => null);
      if (posted !== null) t.is(posted.status, 400);
      t.is((await client.ask({})).status, 200);
      t.is(agent.http('downstream_rq_active'), 0);
    });
  }
}
