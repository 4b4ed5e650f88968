/** GET /clusters: clusters and their hosts as the workers see them, added up, as text or JSON like Envoy's. */
import { messageOf } from '@chainmail/runtime';
import { defaultCircuit } from '../cluster/circuit-breakers.ts';
import type { RoutingPriority } from '../cluster/cluster.ts';
import type { CircuitSpec, ClusterSpec } from '../model/cluster.ts';
import type { ClusterHosts, HostState } from '../model/update.ts';
import { compileRegex } from '../policy/regex.ts';
import type { LiveConfig } from '../xds/live-config.ts';
import { type AdminResponse, json, text } from './command.ts';

const counters = ['cxConnectFail', 'cxTotal', 'rqError', 'rqSuccess', 'rqTimeout', 'rqTotal'] as const;
const gauges = ['cxActive', 'rqActive'] as const;

const envoyNames: Readonly<Record<(typeof counters)[number] | (typeof gauges)[number], string>> = {
  cxConnectFail: 'cx_connect_fail',
  cxTotal: 'cx_total',
  rqError: 'rq_error',
  rqSuccess: 'rq_success',
  rqTimeout: 'rq_timeout',
  rqTotal: 'rq_total',
  cxActive: 'cx_active',
  rqActive: 'rq_active',
};

/** One list for each worker becomes one: numbers are added, flags joined. */
export function sumHosts(workers: readonly (readonly ClusterHosts[])[]): readonly ClusterHosts[] {
  const clusters = new Map<string, Map<string, HostState>>();
  for (const { cluster, hosts } of workers.flat()) {
    const known = clusters.get(cluster) ?? new Map<string, HostState>();
    clusters.set(cluster, known);
    for (const host of hosts) {
      const key = `${host.priority} ${host.address} ${host.hostname}`;
      const other = known.get(key);
      known.set(key, other === undefined ? host : addHosts(other, host));
    }
  }
  return [...clusters].map(([cluster, hosts]) => ({ cluster, addedViaApi: false, hosts: [...hosts.values()] }));
}

function addHosts(a: HostState, b: HostState): HostState {
  const numbers = Object.fromEntries([...counters, ...gauges].map((name) => [name, a[name] + b[name]]));
  return { ...a, ...numbers, ejections: a.ejections + b.ejections, flags: [...new Set([...a.flags, ...b.flags])] };
}

export function clustersResponse(
  clusters: readonly ClusterHosts[],
  live: LiveConfig,
  query: URLSearchParams,
): AdminResponse {
  const filter = query.get('filter') ?? '';
  let wanted: (name: string) => boolean = () => true;
  try {
    const regex = filter === '' ? null : compileRegex(`.*(?:${filter}).*`);
    if (regex !== null) wanted = (name) => regex.matches(name);
  } catch (error) {
    return text(`${messageOf(error)}\n`, 400);
  }
  const sorted = clusters.filter((c) => wanted(c.cluster)).sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
  if (query.get('format') === 'json') {
    return json({ cluster_statuses: sorted.map((c) => clusterJson(c, live)) });
  }
  return text(sorted.map((c) => clusterText(c, live)).join(''));
}

function clusterText({ cluster, hosts }: ClusterHosts, live: LiveConfig): string {
  const slot = live.resources.clusters.get(cluster);
  const compiled = slot?.active?.compiled;
  const lines = [`observability_name::${cluster}`];
  if (compiled !== undefined) {
    lines.push(...circuitLines('default', compiled.spec.circuit));
    lines.push(...circuitLines('high', compiled.spec.highCircuit ?? defaultCircuit));
  }
  lines.push(`added_via_api::${slot?.isStatic === false}`);
  if (compiled?.source.kind === 'eds') lines.push(`eds_service_name::${compiled.source.serviceName}`);
  for (const host of hosts) lines.push(...hostLines(host));
  return lines.map((line) => `${cluster}::${line}\n`).join('');
}

function circuitLines(priority: RoutingPriority, circuit: CircuitSpec): readonly string[] {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries } = circuit;
  return [
    `${priority}_priority::max_connections::${maxConnections}`,
    `${priority}_priority::max_pending_requests::${maxPendingRequests}`,
    `${priority}_priority::max_requests::${maxRequests}`,
    `${priority}_priority::max_retries::${maxRetries}`,
  ];
}

function hostLines(host: HostState): readonly string[] {
  const [region = '', zone = '', subZone = ''] = host.locality.split('/');
  const values: readonly (readonly [string, string | number])[] = [
    ...[...gauges, ...counters]
      .map((name) => [envoyNames[name], host[name]] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
    ['hostname', host.hostname],
    ['health_flags', host.flags.length === 0 ? 'healthy' : host.flags.map((f) => `/${f}`).join('')],
    ['weight', host.weight],
    ['region', region],
    ['zone', zone],
    ['sub_zone', subZone],
    ['canary', 'false'],
    ['priority', host.priority],
    ['ejections', host.ejections],
  ];
  return values.map(([name, value]) => `${host.address}::${name}::${value}`);
}

function clusterJson({ cluster, hosts }: ClusterHosts, live: LiveConfig): unknown {
  const slot = live.resources.clusters.get(cluster);
  const compiled = slot?.active?.compiled;
  return {
    name: cluster,
    ...(slot?.isStatic === false ? { added_via_api: true } : {}),
    ...(compiled?.source.kind === 'eds' ? { eds_service_name: compiled.source.serviceName } : {}),
    host_statuses: hosts.map(hostJson),
    ...(compiled === undefined ? {} : { circuit_breakers: { thresholds: thresholdsOf(compiled.spec) } }),
    observability_name: cluster,
  };
}

/** What stands at its default is left out, as protobuf's JSON does: DEFAULT is the first priority. */
function thresholdsOf({ circuit, highCircuit = defaultCircuit }: ClusterSpec): readonly unknown[] {
  const limits = ({ maxConnections, maxPendingRequests, maxRequests, maxRetries }: CircuitSpec) => ({
    max_connections: maxConnections,
    max_pending_requests: maxPendingRequests,
    max_requests: maxRequests,
    max_retries: maxRetries,
  });
  return [limits(circuit), { priority: 'HIGH', ...limits(highCircuit) }];
}

function hostJson(host: HostState): unknown {
  const colon = host.address.lastIndexOf(':');
  const [region = '', zone = '', subZone = ''] = host.locality.split('/');
  const stat = (type: string) => (name: (typeof counters)[number] | (typeof gauges)[number]) => ({
    name: envoyNames[name],
    value: String(host[name]),
    type,
  });
  return {
    address: {
      socket_address: {
        address: host.address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
        port_value: Number(host.address.slice(colon + 1)),
      },
    },
    stats: [...counters.map(stat('COUNTER')), ...gauges.map(stat('GAUGE'))],
    health_status: {
      eds_health_status: host.flags.includes('failed_eds_health') ? 'UNHEALTHY' : 'HEALTHY',
      ...(host.flags.includes('failed_active_hc') ? { failed_active_health_check: true } : {}),
      ...(host.flags.includes('active_hc_timeout') ? { failed_active_hc_timeout: true } : {}),
      ...(host.flags.includes('failed_outlier_check') ? { failed_outlier_check: true } : {}),
    },
    weight: host.weight,
    ...(host.hostname === '' ? {} : { hostname: host.hostname }),
    ...(host.priority === 0 ? {} : { priority: host.priority }),
    locality: {
      ...(region === '' ? {} : { region }),
      ...(zone === '' ? {} : { zone }),
      ...(subZone === '' ? {} : { sub_zone: subZone }),
    },
  };
}
