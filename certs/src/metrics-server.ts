/** Health and metrics over plain HTTP: `/livez`, `/ready`, `/healthz` and `/metrics` (Prometheus text). Invariant: nothing secret here. */
import http from 'node:http';
import type { WorkloadIdentity } from '@chainmail/pki';
import { UserError } from '@chainmail/runtime';
import type { AuditLog } from './audit.ts';
import type { CertificateAuthority } from './authority.ts';
import type { RunningServer } from './grpc-server.ts';

/** How the bundle fares in a cluster. */
export interface PublishedFigures {
  readonly namespaces: number;
  readonly written: number;
  readonly failed: number;
}

export interface Observed {
  readonly authority: CertificateAuthority;
  readonly audit: AuditLog;
  readonly identity: WorkloadIdentity;
  readonly isReady: () => boolean;
  /** Absent where the bundle is a file. */
  readonly published?: () => PublishedFigures;
}

interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  /** Label text and value. */
  readonly samples: readonly (readonly [labels: string, value: number])[];
}

function metricsOf({ authority, audit, identity, published }: Observed): Metric[] {
  const refused = [...audit.counts.refused].map(([code, n]) => [`{code="${code}"}`, n] as const);
  const ownExpiry = (identity.current()?.notAfterMs ?? 0) / 1000;
  const metric = (name: string, kind: Metric['kind'], help: string, samples: Metric['samples']): Metric => ({
    name: `chainmail_ca_${name}`,
    ...{ kind, help, samples },
  });
  return [
    metric('certificates_issued_total', 'counter', 'Certificates signed.', [['', audit.counts.issued]]),
    metric('requests_refused_total', 'counter', 'Signing requests refused, by reason.', refused),
    metric('bundle_sequence', 'gauge', 'Sequence of the trust bundle.', [['', authority.bundle.sequence]]),
    metric('trust_anchors', 'gauge', 'Roots in the trust bundle.', [['', authority.bundle.anchors.length]]),
    metric('root_expiry_timestamp_seconds', 'gauge', 'When the signing root expires.', [
      ['', authority.rootNotAfterMs / 1000],
    ]),
    metric('own_certificate_expiry_timestamp_seconds', 'gauge', "When the CA's own certificate expires.", [
      ['', ownExpiry],
    ]),
    ...(published === undefined ? [] : publishedMetrics(published(), metric)),
  ];
}

function publishedMetrics(
  { namespaces, written, failed }: PublishedFigures,
  metric: (name: string, kind: Metric['kind'], help: string, samples: Metric['samples']) => Metric,
): Metric[] {
  return [
    metric('bundle_namespaces', 'gauge', 'Namespaces that have the trust bundle.', [['', namespaces]]),
    metric('bundle_writes_total', 'counter', 'ConfigMaps written.', [['', written]]),
    metric('bundle_write_failures_total', 'counter', 'Attempts that failed.', [['', failed]]),
  ];
}

/** Prometheus text format 0.0.4. */
function renderMetrics(observed: Observed): string {
  return metricsOf(observed)
    .flatMap(({ name, kind, help, samples }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${kind}`,
      ...samples.map(([labels, value]) => `${name}${labels} ${value}`),
    ])
    .concat('')
    .join('\n');
}

function answer(path: string | undefined, observed: Observed): readonly [status: number, body: string] {
  if (path === '/metrics') return [200, renderMetrics(observed)];
  if (path === '/livez') return [200, 'ok\n'];
  if (path === '/ready' && !observed.isReady()) return [503, 'not ready\n'];
  if (path !== '/healthz' && path !== '/ready') {
    return [404, 'not found: /livez, /ready, /healthz and /metrics are here\n'];
  }
  return observed.identity.current() === undefined ? [503, 'the own certificate has expired\n'] : [200, 'ok\n'];
}

/** Listens on host:port. @throws UserError CA_LISTEN */
export async function startMetricsServer(address: string, observed: Observed): Promise<RunningServer> {
  const server = http.createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    const [status, body] = answer(request.url, observed);
    response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(body);
  });
  server.maxConnections = 64;
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (e) => reject(new UserError('CA_LISTEN', `cannot listen on ${address}: ${e.message}`)));
    server.listen(Number(address.slice(colon + 1)), host, resolve);
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return {
    address: `${address.slice(0, colon)}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
