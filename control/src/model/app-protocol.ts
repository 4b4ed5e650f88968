/**
 * Which protocol a port speaks: appProtocol, then the prefix of the port's name, then the ports of protocols in which
 * the server speaks first; what is left is found out from the first bytes.
 */

export type AppProtocol = 'http' | 'http2' | 'tcp' | 'auto';

const byName: Readonly<Record<string, AppProtocol>> = {
  http: 'http',
  http1: 'http',
  ws: 'http',
  'kubernetes.io/ws': 'http',
  h2c: 'http2',
  http2: 'http2',
  grpc: 'http2',
  'kubernetes.io/h2c': 'http2',
  tcp: 'tcp',
  tls: 'tcp',
  https: 'tcp',
  wss: 'tcp',
  'kubernetes.io/wss': 'tcp',
  amqp: 'tcp',
  kafka: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  postgres: 'tcp',
  postgresql: 'tcp',
  redis: 'tcp',
  smtp: 'tcp',
};

/** SMTP, DNS, POP3, IMAP, submission, MySQL, PostgreSQL, Redis, Elasticsearch transport, memcached, MongoDB. */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 110, 143, 587, 3306, 5432, 6379, 9300, 11211, 27017]);

/** An appProtocol that nobody knows is sniffed like none at all: guessing HTTP would break it. */
export function appProtocolOf(port: {
  readonly appProtocol?: string | undefined;
  readonly name?: string | undefined;
  readonly number: number;
}): AppProtocol {
  const declared = byName[port.appProtocol?.toLowerCase() ?? ''];
  if (declared !== undefined) return declared;
  const prefix = port.name?.toLowerCase().split('-')[0] ?? '';
  return byName[prefix] ?? (serverFirstPorts.has(port.number) ? 'tcp' : 'auto');
}
