/** GET /livez, /ready, /metrics (Prometheus text) and, to this machine only, /debug/agents. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Agent, Fleet } from '../xds/fleet.ts';
import type { Address } from './options.ts';
import type { Reporter } from './reporter.ts';

/** How the objects of an API server are followed. */
export interface SourceFigures {
  readonly leader: boolean;
  readonly lists: number;
  readonly failures: number;
  /** Kinds that are not being followed at this moment. */
  readonly interrupted: number;
  readonly statusesWritten: number;
  readonly statusesFailed: number;
}

export interface MetricsSource {
  readonly fleet: Fleet;
  readonly reporter: Reporter;
  readonly ready: () => boolean;
  /** Undefined while no valid certificate is held. */
  readonly certificateNotAfterMs: () => number | undefined;
  /** Absent with folders. */
  readonly source?: () => SourceFigures;
}

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly value: number;
}

function metricsOf(s: MetricsSource): Metric[] {
  const { fleet, reporter } = s;
  const notAfterMs = s.certificateNotAfterMs();
  const settled = fleet.agents.filter((a) => a.stream.settled).length;
  return [
    { name: 'agents_connected', type: 'gauge', help: 'Agents with an open stream.', value: fleet.agents.length },
    { name: 'agents_settled', type: 'gauge', help: 'Of these, on the newest configuration.', value: settled },
    { name: 'pushes_total', type: 'counter', help: 'Responses sent to agents.', value: fleet.counters.pushes },
    { name: 'acks_total', type: 'counter', help: 'Responses accepted.', value: fleet.counters.acknowledgements },
    { name: 'nacks_total', type: 'counter', help: 'Responses refused by agents.', value: fleet.counters.rejections },
    {
      name: 'invalid_resources_total',
      type: 'counter',
      help: 'Made and not sent: a bug.',
      value: fleet.counters.invalid,
    },
    { name: 'revision', type: 'gauge', help: 'Changes of the world since the start.', value: fleet.revision },
    { name: 'resources_encoded_total', type: 'counter', help: 'Resources encoded.', value: fleet.encodedTotal },
    { name: 'objects', type: 'gauge', help: 'Objects in force.', value: reporter.objectCount },
    { name: 'services', type: 'gauge', help: 'Services in the mesh.', value: fleet.world.services.size },
    { name: 'pods', type: 'gauge', help: 'Pods known.', value: fleet.world.pods.size },
    { name: 'object_problems', type: 'gauge', help: 'Objects and files refused.', value: reporter.problemCount },
    {
      name: 'certificate_not_after_seconds',
      type: 'gauge',
      help: 'End of the own certificate, seconds since the epoch; 0 without one.',
      value: (notAfterMs ?? 0) / 1000,
    },
    ...(s.source === undefined ? [] : sourceMetrics(s.source())),
  ];
}

function sourceMetrics(f: SourceFigures): Metric[] {
  const metric = (name: string, type: Metric['type'], help: string, value: number): Metric => ({
    ...{ name, type, help, value },
  });
  return [
    metric('leader', 'gauge', 'This replica writes statuses.', f.leader ? 1 : 0),
    metric('kube_lists_total', 'counter', 'Lists read of the API server.', f.lists),
    metric('kube_failures_total', 'counter', 'Lists and watches that failed.', f.failures),
    metric('kube_watches_interrupted', 'gauge', 'Kinds that are not being followed now.', f.interrupted),
    metric('statuses_written_total', 'counter', 'Statuses written.', f.statusesWritten),
    metric('statuses_failed_total', 'counter', 'Attempts at a status that failed.', f.statusesFailed),
  ];
}

const render = (m: Metric): string =>
  `# HELP chainmail_control_${m.name} ${m.help}\n# TYPE chainmail_control_${m.name} ${m.type}\nchainmail_control_${m.name} ${m.value}\n`;

const describe = (a: Agent) => ({
  pod: a.pod,
  spiffeId: a.spiffeId,
  node: a.node,
  protocol: a.protocol,
  connectedAt: new Date(a.connectedAtMs).toISOString(),
  revision: a.revision,
  settled: a.stream.settled,
  types: a.stream.types.map((t) => ({ ...t, names: t.names.slice(0, 100), nameCount: t.names.length })),
});

const isLoopback = (address: string | undefined): boolean =>
  address !== undefined && /^(127\.|::1$|::ffff:127\.)/.test(address);

/** Names of this machine; a page in a browser may have had another one resolved to it (DNS rebinding). */
const isOwnName = (host = ''): boolean => /^(?:|localhost|[\d.]+|\[[\da-f:.]+\])(?::\d+)?$/i.test(host);

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

const plain = (code: number, body: string): Answer => ({ code, type: 'text/plain; charset=utf-8', body: `${body}\n` });

function answer(source: MetricsSource, path: string, request: http.IncomingMessage): Answer {
  switch (path) {
    case '/livez':
      return plain(200, 'LIVE');
    case '/ready':
      return source.ready() ? plain(200, 'LIVE') : plain(503, 'NOT READY');
    case '/metrics':
      return { code: 200, type: 'text/plain; version=0.0.4', body: metricsOf(source).map(render).join('') };
    case '/debug/agents': {
      if (!isLoopback(request.socket.remoteAddress) || !isOwnName(request.headers.host))
        return plain(403, 'only from this machine');
      const body = JSON.stringify({ revision: source.fleet.revision, agents: source.fleet.agents.map(describe) });
      return { code: 200, type: 'application/json', body: `${body}\n` };
    }
    default:
      return plain(404, 'GET /livez, /ready, /metrics or /debug/agents');
  }
}

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

export function startMetricsServer(source: MetricsSource, listen: Address): Promise<Listening> {
  const server = http.createServer({ requestTimeout: 10_000 }, (request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const result = request.method === 'GET' ? answer(source, path, request) : plain(405, 'GET only');
    response.writeHead(result.code, { 'content-type': result.type }).end(result.body);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
