/** ClusterLoadAssignment: endpoints by locality, with their weights, health and socket-match labels. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { Metadata } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type {
  ClusterLoadAssignment,
  ClusterLoadAssignment_Policy,
} from '@chainmail/xds/proto/envoy/config/endpoint/v3/endpoint';
import type {
  Endpoint,
  Endpoint_HealthCheckConfig,
  LbEndpoint,
  LocalityLbEndpoints,
} from '@chainmail/xds/proto/envoy/config/endpoint/v3/endpoint_components';
import type { EndpointSpec, EndpointsSpec } from '../model/cluster.ts';
import type { EndpointCheckSpec } from '../model/health-check.ts';
import { isIP } from '../sys/ip-text.ts';
import { canonicalIp, readHostPort, readIpAddress } from './address.ts';
import { isHostValue } from './health-check.ts';
import { readLocality } from './locality-balancing.ts';
import { type MessageReader, readMessage } from './message-reader.ts';
import { endpointMetadata } from './metadata.ts';

/** Before names are resolved, `address.ip` holds the DNS name. */
export type NamedEndpoint = EndpointSpec;

const health = {
  UNKNOWN: 'healthy',
  HEALTHY: 'healthy',
  UNHEALTHY: 'unhealthy',
  TIMEOUT: 'unhealthy',
  DRAINING: 'draining',
  DEGRADED: 'degraded',
} as const;

const socketMatchKey = 'envoy.transport_socket_match';

/** From EDS: addresses only. The cluster is the message's own. */
export function compileAssignment(message: ClusterLoadAssignment, path: string): EndpointsSpec {
  return readMessage(message, path, (r: MessageReader<ClusterLoadAssignment>) => ({
    cluster: r.take('clusterName'),
    endpoints: readAssignment(r, false),
  }));
}

/** @param names whether DNS names are allowed as addresses */
export function readAssignment(r: MessageReader<ClusterLoadAssignment>, names: boolean): readonly NamedEndpoint[] {
  r.take('clusterName');
  r.inside('policy', readPolicy);
  return r.each('endpoints', (l) => readLocalityEndpoints(l, names)).flat();
}

/** 140 is Envoy's default overprovisioning, and the only one implemented. */
function readPolicy(r: MessageReader<ClusterLoadAssignment_Policy>): void {
  r.only('overprovisioningFactor', 140);
  r.only('weightedPriorityHealth', false);
}

function readLocalityEndpoints(r: MessageReader<LocalityLbEndpoints>, names: boolean): readonly NamedEndpoint[] {
  const priority = r.take('priority');
  const locality = r.inside('locality', readLocality) ?? '';
  const weight = r.take('loadBalancingWeight');
  const place = { priority, locality, ...(weight === undefined ? {} : { localityWeight: weight }) };
  return r.each('lbEndpoints', (e) => readEndpoint(e, place, names));
}

type Place = Pick<EndpointSpec, 'priority' | 'locality' | 'localityWeight'>;

function readEndpoint(r: MessageReader<LbEndpoint>, place: Place, names: boolean): NamedEndpoint {
  const identifier = r.take('hostIdentifier');
  if (identifier.case !== 'endpoint') throw r.unsupported(identifier.case ?? 'hostIdentifier');
  const { hostname, host, port, check } = r.within('endpoint', identifier.value, (e) => readHost(e, names));
  return {
    address: { ip: host, port },
    hostname,
    health: r.oneOf('healthStatus', health),
    weight: r.take('loadBalancingWeight') ?? 1,
    ...place,
    ...(check === undefined ? {} : { check }),
    ...(r.inside('metadata', readMetadata) ?? { socketMatch: {} }),
  };
}

function readHost(
  r: MessageReader<Endpoint>,
  names: boolean,
): Pick<EndpointSpec, 'hostname' | 'check'> & { readonly host: string; readonly port: number } {
  const { host, port } = r.required('address', readHostPort);
  const isAddress = isIP(host);
  if (!isAddress && !names) throw r.invalid('address', `malformed IP address: ${host}`);
  const check = r.inside('healthCheckConfig', readCheck);
  return {
    hostname: r.take('hostname') || (isAddress ? '' : host),
    host: isAddress ? canonicalIp(host) : host,
    port,
    ...(check === undefined ? {} : { check }),
  };
}

function readCheck(r: MessageReader<Endpoint_HealthCheckConfig>): EndpointCheckSpec {
  const port = r.take('portValue');
  if (port > 65_535) throw r.invalid('portValue', 'must be at most 65535');
  const hostname = r.take('hostname');
  if (hostname !== '' && !isHostValue(hostname)) throw r.invalid('hostname', 'must be one word of visible ASCII');
  return {
    address: r.inside('address', readIpAddress) ?? null,
    port,
    hostname,
    disabled: r.take('disableActiveHealthCheck'),
  };
}

/** Other metadata describes; the labels for transport_socket_matches and what is under envoy.lb steer something. */
function readMetadata(r: MessageReader<Metadata>): Pick<EndpointSpec, 'socketMatch' | 'hashKey' | 'metadata'> {
  const hashKey = r.message.filterMetadata['envoy.lb']?.['hash_key'];
  const metadata = endpointMetadata(r.message);
  return {
    socketMatch: readSocketMatch(r),
    ...(typeof hashKey === 'string' ? { hashKey } : {}),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function readSocketMatch(r: MessageReader<Metadata>): Readonly<Record<string, string>> {
  r.take('typedFilterMetadata');
  const labels: JsonObject = r.take('filterMetadata')[socketMatchKey] ?? {};
  return Object.fromEntries(
    Object.entries(labels).map(([k, v]) => {
      if (typeof v !== 'string')
        throw r.unsupported('filterMetadata', `${socketMatchKey}.${k}: only text is implemented`);
      return [k, v];
    }),
  );
}
