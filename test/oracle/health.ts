/** Active health checks: what each proxy asks of the same server, and what it tells of the same answers in its events. */
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import type { JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

/** The answers to the checks of a cluster in order: an HTTP status, 0 for none; for gRPC a serving status. */
interface HealthCase {
  readonly name: string;
  readonly check: JsonObject;
  readonly plan: readonly number[];
  /** Of the endpoint. */
  readonly own?: JsonObject;
}

const http1 = (path: string, more: JsonObject = {}): JsonObject => ({ http_health_check: { path, ...more } });
const overHttp2 = (path: string, more: JsonObject = {}): JsonObject =>
  http1(path, { codec_client_type: 'HTTP2', ...more });
const header = (key: string, value: string): JsonObject => ({ header: { key, value } });
const always: JsonObject = { always_log_health_check_failures: true, always_log_health_check_success: true };

const cases: readonly HealthCase[] = [
  { name: 'http1', check: http1('/http1'), plan: [200, 503, 200, 200, 404] },
  { name: 'always', check: { ...http1('/always'), ...always }, plan: [500, 200, 200, 0, 0, 200, 200, 200] },
  {
    name: 'headers',
    check: http1('/headers', { host: 'h', method: 'HEAD', request_headers_to_add: [header('x-a', 'b')] }),
    plan: [200],
  },
  { name: 'hostname', check: http1('/hostname', { host: 'h' }), plan: [200, 500], own: { hostname: 'own' } },
  { name: 'h2', check: overHttp2('/h2'), plan: [200, 503, 200, 200] },
  {
    name: 'h2headers',
    check: overHttp2('/h2headers', { method: 'POST', request_headers_to_add: [header('x-a', 'b')] }),
    plan: [200],
  },
  { name: 'grpc', check: { grpc_health_check: {} }, plan: [1, 2, 1, 1] },
  {
    name: 'service',
    check: {
      grpc_health_check: { service_name: 'a.b', authority: 'au', initial_metadata: [header('x-a', 'b')] },
      ...always,
    },
    plan: [1, 1, 0],
  },
];

const isGrpc = (test: HealthCase): boolean => 'grpc_health_check' in test.check;
const isHttp2 = (test: HealthCase): boolean => isGrpc(test) || JSON.stringify(test.check).includes('HTTP2');

/** A server for each case, since a check does not say whose it is. */
class Asked {
  readonly seen = new Map<string, string[]>();
  readonly ports = new Map<string, number>();
  readonly #servers: (http.Server | http2.Http2Server)[] = [];

  async listen(): Promise<void> {
    for (const test of cases) {
      const server = isHttp2(test) ? this.#http2(test) : this.#http1(test);
      this.#servers.push(server);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      this.ports.set(test.name, (server.address() as AddressInfo).port);
    }
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  /** The next answer; the last one stays. */
  #next({ name, plan }: HealthCase, request: string): number {
    const seen = this.seen.get(name) ?? [];
    this.seen.set(name, [...seen, request]);
    return plan[Math.min(seen.length, plan.length - 1)] ?? 0;
  }

  #http1(test: HealthCase): http.Server {
    return http.createServer((request, response) => {
      const status = this.#next(test, [request.method, request.url, ...request.rawHeaders.map(lower)].join(' '));
      if (status !== 0) response.writeHead(status).end();
    });
  }

  #http2(test: HealthCase): http2.Http2Server {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      const parts: Buffer[] = [];
      stream.on('error', () => undefined);
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const fields = Object.entries(headers).map(([name, value]) => `${name}=${value}`);
        const answer = this.#next(test, [...fields.sort(), Buffer.concat(parts).toString('hex')].join(' '));
        if (!isGrpc(test)) return stream.respond({ ':status': answer }, { endStream: true });
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, answer]));
      });
    });
    return server;
  }
}

const lower = (text: string): string => text.toLowerCase();

const address = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } });

const http2Cluster: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

const sink = (file: string): JsonObject => ({
  name: 'events',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink',
    event_log_path: file,
  },
});

function clusterOf(test: HealthCase, port: number, events: string): JsonObject {
  return {
    ...{ name: test.name, connect_timeout: '1s', type: 'STATIC' },
    ...(isHttp2(test) ? http2Cluster : {}),
    health_checks: [
      {
        ...{ timeout: '0.3s', interval: '0.1s', no_traffic_interval: '0.1s', unhealthy_interval: '0.1s' },
        ...{ unhealthy_threshold: 2, healthy_threshold: 2, event_logger: [sink(events)] },
        ...test.check,
      },
    ],
    load_assignment: {
      cluster_name: test.name,
      endpoints: [
        {
          locality: { region: 'r', zone: 'z' },
          // Nobody listens at the address itself.
          lb_endpoints: [{ endpoint: { address: address(1), health_check_config: { port_value: port, ...test.own } } }],
        },
      ],
    },
  };
}

/** How many events are compared: of what comes behind the plan there may be more or fewer. */
function eventsOf(file: string): readonly string[] {
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.stringify({ ...JSON.parse(line), timestamp: 'then' }));
}

async function outcome(name: ProxyName, dir: string): Promise<ReadonlyMap<string, string>> {
  const asked = new Asked();
  await asked.listen();
  const [admin = 0] = await freePorts(1);
  const events = (test: HealthCase): string => path.join(dir, `health-${name}-${test.name}.log`);
  const clusters = cases.map((test) => clusterOf(test, asked.ports.get(test.name) ?? 0, events(test)));
  const config = { admin: { address: address(admin) }, static_resources: { clusters } };
  const child = await startConfigured(name, config, path.join(dir, `health-${name}`), admin, [
    '--file-flush-interval-msec',
    '50',
  ]);
  try {
    const isOver = (test: HealthCase): boolean => (asked.seen.get(test.name)?.length ?? 0) > test.plan.length + 1;
    const end = Date.now() + 20_000;
    while (!cases.every(isOver) && Date.now() < end) await new Promise((done) => setTimeout(done, 20));
    await new Promise((done) => setTimeout(done, 500));
    return new Map(
      cases.flatMap((test) => {
        const length = expectedEvents(test);
        return [
          [`health/${test.name}: asked`, [...new Set(asked.seen.get(test.name))].join('\n')],
          [`health/${test.name}: events`, eventsOf(events(test)).slice(0, length).join('\n')],
        ];
      }),
    );
  } finally {
    await endProxy(child);
    asked.close();
  }
}

/** At least one for each answer where all are told; the others end with the plan. */
const expectedEvents = (test: HealthCase): number =>
  'always_log_health_check_failures' in test.check ? test.plan.length : Number.POSITIVE_INFINITY;

export async function compareHealth(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([outcome('agent', dir), outcome('envoy', dir)]);
  for (const [key, mine] of ours) {
    judge.check(`${key}: something was seen`, mine !== '', mine);
    judge.compare(key, 'response', mine, theirs.get(key) ?? '');
  }
}
