/** What became of a host's health, as Envoy's health check event log tells it: one line of JSON for each event. */
import type { HealthCheckSpec } from '../model/health-check.ts';
import type { ClusterHost } from './host.ts';

export type FailureType = 'ACTIVE' | 'NETWORK' | 'NETWORK_TIMEOUT';

export type HealthEvent =
  | { readonly kind: 'ejected'; readonly failure: FailureType; readonly status: number }
  | { readonly kind: 'added'; readonly first: boolean }
  | { readonly kind: 'failed'; readonly failure: FailureType; readonly status: number; readonly first: boolean }
  | { readonly kind: 'passed' };

const checkers = { http: 'HTTP', tcp: 'TCP', grpc: 'GRPC' } as const satisfies Record<
  HealthCheckSpec['probe']['kind'],
  string
>;

/** envoy.data.core.v3.HealthCheckEvent with its default values, in the order of the proto. */
export function healthEventLine(
  cluster: string,
  { endpoint, address }: ClusterHost,
  checker: HealthCheckSpec['probe']['kind'],
  event: HealthEvent,
  wallMs: number,
): string {
  const [region = '', zone = '', sub_zone = ''] = endpoint.locality.split('/');
  return `${JSON.stringify({
    health_checker_type: checkers[checker],
    host: {
      socket_address: {
        ...{ protocol: 'TCP', address: address.ip, port_value: address.port },
        ...{ resolver_name: '', ipv4_compat: false, network_namespace_filepath: '' },
      },
    },
    cluster_name: cluster,
    ...(event.kind === 'ejected'
      ? { eject_unhealthy_event: { failure_type: event.failure, http_status_code: event.status } }
      : {}),
    ...(event.kind === 'added' ? { add_healthy_event: { first_check: event.first } } : {}),
    timestamp: new Date(wallMs).toISOString(),
    ...(event.kind === 'failed' ? { health_check_failure_event: failed(event) } : {}),
    locality: { region, zone, sub_zone },
    ...(event.kind === 'passed' ? { successful_health_check_event: {} } : {}),
  })}\n`;
}

const failed = ({ failure, first, status }: Extract<HealthEvent, { kind: 'failed' }>): object => ({
  failure_type: failure,
  first_check: first,
  http_status_code: status,
});
