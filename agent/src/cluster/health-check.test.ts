/** Active health checks: thresholds and intervals on a turned clock, and what goes over real sockets. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { LoopbackAgent } from '../http/testing/loopback-agent.ts';
import { endpoint as loopbackEndpoint } from '../http/testing/specs.ts';
import type { HealthCheckSpec } from '../model/cluster.ts';
import { readAgain, readHeadroom, type Stream, type StreamHandler } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import { EndpointCluster } from './endpoint-cluster.ts';
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
  readonly flags: () => readonly string[];
}

/** A cluster whose checks reach nobody until the test answers. */
function world(spec: Partial<HealthCheckSpec> = {}, hosts = 1, used = true): World {
  const base = fixture();
  const asked: Asked[] = [];
  const readBuffer = Buffer.alloc(readHeadroom + 100_000);
  const dial = (options: { readonly address: { readonly ip: string } }, handler: StreamHandler): Stream => {
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
      address: options.address.ip,
      answer: (text) => {
        handler.onConnected(stream);
        input = text;
        handler.onReadable(stream);
      },
      fail: () => handler.onClosed(stream, 'connect-refused'),
    });
    return stream;
  };
  const runtime = { ...base.runtime, readBuffer, dial };
  if (used) runtime.slots[clusterStat.at.upstream_cx_total] = 1;
  const cluster = new EndpointCluster(
    clusterSpec({ healthCheck: healthCheckSpec(spec), outlier: outlierSpec({ consecutive5xx: 1 }) }),
    runtime,
  );
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(hosts) });
  base.clock.advance(1);
  return { cluster, asked, base, flags: () => cluster.snapshot().hosts[0]?.flags ?? [] };
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
