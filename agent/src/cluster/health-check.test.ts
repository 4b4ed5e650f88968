/** Active health checks: thresholds and intervals on a turned clock, and what goes over real sockets. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { LoopbackAgent } from '../http/testing/loopback-agent.ts';
import { endpoint as loopbackEndpoint } from '../http/testing/specs.ts';
import type { EndpointSpec } from '../model/cluster.ts';
import type { EndpointCheckSpec, HealthCheckSpec, HealthEventsSpec } from '../model/health-check.ts';
import type { AddressSpec } from '../model/listener.ts';
import { readAgain, readHeadroom, type Stream, type StreamHandler } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import { EndpointCluster } from './endpoint-cluster.ts';
import { labelOf } from './host.ts';
import { clusterSpec, endpoints, type Fixture, fixture, outlierSpec } from './testing/cluster-fixture.ts';
import { healthCheckSpec, httpProbe } from './testing/health-check-spec.ts';

interface Asked {
  readonly address: string;
  answer(text: string): void;
  fail(): void;
}

interface World {
  readonly cluster: EndpointCluster;
  readonly asked: Asked[];
  readonly base: Fixture;
  readonly events: string[];
  readonly flags: () => readonly string[];
}

/** A cluster whose checks reach nobody until the test answers. */
function world(spec: Partial<HealthCheckSpec> = {}, hosts = 1, used = true, of: Partial<EndpointSpec> = {}): World {
  const base = fixture();
  const asked: Asked[] = [];
  const readBuffer = Buffer.alloc(readHeadroom + 100_000);
  const events: string[] = [];
  const dial = (options: { readonly address: AddressSpec }, handler: StreamHandler): Stream => {
    let input = '';
    const stream = {
      dead: false,
      read: (offset: number) => {
        if (input === '') return readAgain;
        const n = readBuffer.write(input, offset, 'latin1');
        input = '';
        return n;
      },
      more: () => true,
      write: () => true,
      close: () => undefined,
    } as unknown as Stream;
    asked.push({
      address: labelOf(options.address),
      answer: (text) => {
        handler.onConnected(stream);
        input = text;
        handler.onReadable(stream);
      },
      fail: () => handler.onClosed(stream, 'connect-refused'),
    });
    return stream;
  };
  const logEvent = (path: string, line: string): void => void events.push(`${path} ${line}`);
  const runtime = { ...base.runtime, readBuffer, dial, logEvent };
  if (used) runtime.slots[clusterStat.at.upstream_cx_total] = 1;
  const cluster = new EndpointCluster(
    clusterSpec({ healthCheck: healthCheckSpec(spec), outlier: outlierSpec({ consecutive5xx: 1 }) }),
    runtime,
  );
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(hosts, of) });
  base.clock.advance(1);
  return { cluster, asked, base, events, flags: () => cluster.snapshot().hosts[0]?.flags ?? [] };
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const status = (code: number): string => `HTTP/1.1 ${code} X\r\n\r\n`;

test('a host is out until its first check has passed, and that one is enough', (t) => {
  const w = world();
  t.deepEqual(w.flags(), ['failed_active_hc']);
  t.is(w.asked.length, 1);
  w.asked[0]?.answer(ok);
  t.deepEqual(w.flags(), []);
  t.is(w.base.stat('health_check.success'), 1);
  t.is(w.base.stat('health_check.healthy'), 1);
  t.is(w.base.stat('membership_healthy'), 1);
});

test('silence counts up to the threshold, a no counts at once, and the way back takes several', (t) => {
  const w = world();
  const next = (): Asked => {
    w.base.clock.advance(5000);
    const last = w.asked.at(-1);
    if (last === undefined) throw new Error('nobody was asked');
    return last;
  };
  w.asked[0]?.answer(ok);
  next().fail();
  t.deepEqual(w.flags(), []);
  next().answer(status(503));
  t.deepEqual(w.flags(), ['failed_active_hc']);
  next().answer(ok);
  next().answer(ok);
  t.deepEqual(w.flags(), ['failed_active_hc']);
  next().answer(ok);
  t.deepEqual(w.flags(), []);
  next().answer(status(500));
  t.deepEqual(w.flags(), ['failed_active_hc']);
  t.is(w.base.stat('health_check.network_failure'), 1);
  t.is(w.base.stat('health_check.failure'), 3);
});

test('a check that takes too long is a failure that says so', (t) => {
  const w = world({ unhealthyThreshold: 1 });
  w.base.clock.advance(1000);
  t.deepEqual(w.flags(), ['failed_active_hc', 'active_hc_timeout']);
  w.asked[0]?.answer(ok);
  t.deepEqual(w.flags(), ['failed_active_hc', 'active_hc_timeout'], 'an answer that came too late');
});

test('a cluster without traffic is asked less often', (t) => {
  const w = world({}, 1, false);
  w.asked[0]?.answer(ok);
  w.base.clock.advance(59_000);
  t.is(w.asked.length, 1);
  w.base.clock.advance(1000);
  t.is(w.asked.length, 2);
});

test('a passing check ends an ejection', (t) => {
  const w = world({}, 2);
  for (const asked of w.asked) asked.answer(ok);
  const pick = w.cluster.pick({ tried: [], destination: null });
  if (pick.kind !== 'host') throw new Error(pick.kind);
  w.cluster.record(pick.host, { kind: 'response', status: 500 });
  t.true(pick.host.ejected);
  w.base.clock.advance(5000);
  for (const asked of w.asked.slice(2)) asked.answer(ok);
  t.false(pick.host.ejected);
});

test('hosts that go are asked no more; a cluster without checks takes everybody', (t) => {
  const w = world({}, 2);
  w.cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(1) });
  w.asked[1]?.answer(ok);
  w.cluster.update(clusterSpec({ healthCheck: null }));
  t.deepEqual(w.flags(), []);
  w.base.clock.advance(600_000);
  t.is(w.asked.length, 2);
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

async function listen(t: ExecutionContext, server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

test('what an HTTP check sends, and what a TCP check waits for', async (t) => {
  const seen: string[] = [];
  const server = http.createServer((req, res) => {
    seen.push([req.method, req.url, ...req.rawHeaders].join(' '));
    res.end();
  });
  const agent = new LoopbackAgent({
    cluster: { healthCheck: healthCheckSpec() },
    endpoints: [loopbackEndpoint(await listen(t, server))],
  });
  t.teardown(() => agent.close());
  await until(() => agent.cluster('health_check.success') === 1);
  t.deepEqual(seen, ['GET /healthz host app user-agent Envoy/HC x-check 1']);
  const heard: string[] = [];
  const tcp = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => {
      heard.push(String(data));
      socket.write('well pong');
    });
  });
  const hex = (text: string): string => Buffer.from(text).toString('hex');
  const other = new LoopbackAgent({
    cluster: { healthCheck: healthCheckSpec({ probe: { kind: 'tcp', send: hex('ping'), receive: [hex('pong')] } }) },
    endpoints: [loopbackEndpoint(await listen(t, tcp))],
  });
  t.teardown(() => other.close());
  await until(() => other.cluster('health_check.success') === 1);
  t.deepEqual(heard, ['ping']);
});

test('an answer is looked for behind informational ones, whatever the split', (t) => {
  const w = world({ probe: httpProbe });
  const [first] = w.asked;
  first?.answer('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 20');
  t.deepEqual(w.flags(), ['failed_active_hc']);
  first?.answer('0 OK\r\n');
  t.deepEqual(w.flags(), []);
});

test('an endpoint says itself where it is asked, and whether', (t) => {
  const own = { address: null, port: 0, hostname: '', disabled: false };
  const asked = (check: Partial<EndpointCheckSpec>): string | undefined =>
    world({}, 1, true, { check: { ...own, ...check } }).asked[0]?.address;
  t.is(asked({}), '10.0.0.1:80');
  t.is(asked({ port: 81 }), '10.0.0.1:81');
  t.is(asked({ address: { ip: '10.9.9.9', port: 7 } }), '10.9.9.9:7');
  t.is(asked({ address: { ip: '10.9.9.9', port: 7 }, port: 8 }), '10.9.9.9:8');
  t.is(asked({ disabled: true }), undefined);
  const w = world();
  t.deepEqual(w.flags(), ['failed_active_hc']);
  w.cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(1, { check: { ...own, disabled: true } }) });
  t.deepEqual(w.flags(), []);
});

test('what changes is told, and the first failure; everything where that is wanted', (t) => {
  const events = { paths: ['/e'], allFailures: false, allSuccesses: false };
  const told = (of: Partial<HealthEventsSpec>): readonly string[] => {
    const w = world({ events: { ...events, ...of }, healthyThreshold: 2 });
    const next = (): Asked | undefined => {
      w.base.clock.advance(5000);
      return w.asked.at(-1);
    };
    w.asked[0]?.answer(status(500));
    next()?.answer(ok);
    next()?.answer(ok);
    next()?.fail();
    next()?.fail();
    w.base.clock.advance(6000);
    return w.events.map((line) => {
      const { host, cluster_name, locality, timestamp, ...event } = JSON.parse(line.slice('/e '.length));
      t.deepEqual([host.socket_address.address, host.socket_address.port_value, cluster_name], ['10.0.0.1', 80, 'c']);
      t.deepEqual([locality.region, typeof timestamp, event.health_checker_type], ['', 'string', 'HTTP']);
      return JSON.stringify(event).replace('{"health_checker_type":"HTTP",', '').replaceAll('"', '').slice(0, -1);
    });
  };
  const first = 'health_check_failure_event:{failure_type:ACTIVE,first_check:true,http_status_code:500}';
  const added = 'add_healthy_event:{first_check:false}';
  const ejected = 'eject_unhealthy_event:{failure_type:NETWORK,http_status_code:0}';
  const failed = (type: string): string =>
    `health_check_failure_event:{failure_type:${type},first_check:false,http_status_code:0}`;
  t.deepEqual(told({}), [first, added, ejected]);
  t.deepEqual(told({ allSuccesses: true }), [first, 'successful_health_check_event:{}', added, ejected]);
  t.deepEqual(told({ allFailures: true }), [
    ...[first, added, failed('NETWORK'), ejected, failed('NETWORK'), failed('NETWORK_TIMEOUT')],
  ]);
});

/** An HTTP/2 server, and an agent whose checks ask it. */
async function askedOverHttp2(
  t: ExecutionContext,
  probe: HealthCheckSpec['probe'],
  serve: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, body: Buffer) => void,
): Promise<{ readonly agent: LoopbackAgent; readonly seen: string[] }> {
  const seen: string[] = [];
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      const body = Buffer.concat(parts);
      const fields = Object.entries(headers).map(([name, value]) => `${name}=${value}`);
      seen.push([...fields, body.toString('hex')].join(' ').trim());
      serve(stream, headers, body);
    });
  });
  const check = { address: null, port: await listen(t, server), hostname: 'own', disabled: false };
  const agent = new LoopbackAgent({
    cluster: {
      healthCheck: healthCheckSpec({ probe, events: { paths: ['/e'], allFailures: true, allSuccesses: true } }),
    },
    endpoints: [{ ...loopbackEndpoint(1), check }],
  });
  t.teardown(() => agent.close());
  return { agent, seen };
}

test('a check over HTTP/2', async (t) => {
  const probe = { ...httpProbe, codec: 'http2' as const };
  const { agent, seen } = await askedOverHttp2(t, probe, (stream) => {
    stream.additionalHeaders({ ':status': 103 });
    stream.respond({ ':status': 200 });
    stream.end('well');
  });
  await until(() => agent.cluster('health_check.success') === 1);
  t.deepEqual(seen, [':method=GET :scheme=http :authority=own :path=/healthz user-agent=Envoy/HC x-check=1']);
  const other = await askedOverHttp2(t, probe, (stream) => stream.respond({ ':status': 404 }, { endStream: true }));
  await until(() => other.agent.events.length === 1);
  t.regex(other.agent.events[0] ?? '', /"failure_type":"ACTIVE","first_check":true,"http_status_code":404/);
  const cut = await askedOverHttp2(t, probe, (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
  await until(() => cut.agent.events.length === 1);
  t.regex(cut.agent.events[0] ?? '', /"failure_type":"NETWORK"/);
  t.is(cut.agent.cluster('health_check.network_failure'), 1);
});

const grpc = { kind: 'grpc', service: 'svc', authority: 'a', headers: [['x-a', 'b']] } as const;
const answer = (status: number): Buffer => Buffer.from([0, 0, 0, 0, 2, 8, status]);

function answerGrpc(
  stream: http2.ServerHttp2Stream,
  body: Buffer,
  grpcStatus: string,
  type = 'application/grpc',
  status = 200,
): void {
  stream.respond({ ':status': status, 'content-type': type }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }));
  stream.end(body);
}

test('a check over gRPC asks for the service, and only SERVING passes', async (t) => {
  const { agent, seen } = await askedOverHttp2(t, grpc, (stream) => answerGrpc(stream, answer(1), '0'));
  await until(() => agent.cluster('health_check.success') === 1);
  const fields = 'te=trailers content-type=application/grpc user-agent=Envoy/HC x-a=b grpc-timeout=1000m';
  t.deepEqual(seen, [
    `:method=POST :scheme=http :authority=own :path=/grpc.health.v1.Health/Check ${fields} 00000000050a03737663`,
  ]);
  t.regex(agent.events[0] ?? '', /"health_checker_type":"GRPC".*"add_healthy_event":\{"first_check":true\}/);
});

const refusals: readonly (readonly [string, (stream: http2.ServerHttp2Stream) => void])[] = [
  ['NOT_SERVING', (s) => answerGrpc(s, answer(2), '0')],
  ['a status that is not 0', (s) => answerGrpc(s, answer(1), '5')],
  ['trailers without an answer', (s) => answerGrpc(s, Buffer.alloc(0), '0')],
  ['two answers', (s) => answerGrpc(s, Buffer.concat([answer(1), answer(1)]), '0')],
  ['a compressed answer', (s) => answerGrpc(s, Buffer.from([1, 0, 0, 0, 2, 8, 1]), '0')],
  ['half an answer', (s) => answerGrpc(s, answer(1).subarray(0, 6), '0')],
  ['an endless answer', (s) => answerGrpc(s, Buffer.alloc(5000), '0')],
  ['another content-type', (s) => answerGrpc(s, answer(1), '0', 'text/plain')],
  ['another HTTP status', (s) => answerGrpc(s, answer(1), '0', 'application/grpc', 503)],
  [
    'a status alone',
    (s) => s.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true }),
  ],
  [
    'an answer without a status',
    (s) => {
      s.respond({ ':status': 200, 'content-type': 'application/grpc' });
      s.end(answer(1));
    },
  ],
];
for (const [name, serve] of refusals) {
  test(`a check over gRPC fails at once: ${name}`, async (t) => {
    const { agent } = await askedOverHttp2(t, grpc, serve);
    await until(() => agent.events.length === 1);
    t.regex(agent.events[0] ?? '', /"failure_type":"ACTIVE"/);
    t.is(agent.cluster('health_check.network_failure'), 0);
  });
}
