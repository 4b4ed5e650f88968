/** One endpoint at run time, with the live state that outlasts updates of the cluster. */
import type { ClusterSpec, EndpointSpec } from '../model/cluster.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { UpstreamTlsSpec } from '../model/tls.ts';
import type { HostState } from '../model/update.ts';
import type { Host, HostPool, Pick } from './cluster.ts';
import type { RateCount } from './success-rates.ts';

/** What outlier detection remembers of a host. */
export interface OutlierState {
  consecutive5xx: number;
  consecutiveGateway: number;
  consecutiveLocal: number;
  ejectedAtMs: number;
  /** Times the base ejection time the next ejection lasts; goes down by one with each healthy sweep. */
  multiplier: number;
  /** Ejections ever. */
  ejections: number;
  /** Of the interval: by answers, and by whether an answer came at all. */
  readonly external: RateCount;
  readonly local: RateCount;
}

export class ClusterHost implements Host {
  readonly key: string;
  readonly address: AddressSpec;
  readonly label: string;
  readonly tls: UpstreamTlsSpec | null;
  endpoint: EndpointSpec;
  removed = false;
  ejected = false;
  /** Active health checks have it out; the last one ran into its timeout. */
  failedActiveCheck = false;
  checkTimedOut = false;
  activeRequests = 0;
  activeConnections = 0;
  cxTotal = 0;
  cxConnectFail = 0;
  rqTotal = 0;
  rqSuccess = 0;
  rqError = 0;
  rqTimeout = 0;
  pool: HostPool | null = null;
  highPool: HostPool | null = null;
  poolProtocol = '';
  highPoolProtocol = '';
  /** When it came, or came back to health: slow start counts from here. */
  freshSinceMs = 0;
  /** The result of a pick, made once. */
  readonly picked: Pick = { kind: 'host', host: this };
  readonly outlier: OutlierState = {
    consecutive5xx: 0,
    consecutiveGateway: 0,
    consecutiveLocal: 0,
    ejectedAtMs: 0,
    multiplier: 0,
    ejections: 0,
    external: { successes: 0, total: 0 },
    local: { successes: 0, total: 0 },
  };

  constructor(key: string, endpoint: EndpointSpec, tls: UpstreamTlsSpec | null) {
    this.key = key;
    this.endpoint = endpoint;
    this.address = endpoint.address;
    this.label = labelOf(endpoint.address);
    this.tls = tls;
  }

  get weight(): number {
    return this.endpoint.weight > 0 ? this.endpoint.weight : 1;
  }

  /** Takes new requests without panic, if need be as a degraded host. */
  get available(): boolean {
    const { health } = this.endpoint;
    return !this.ejected && !this.failedActiveCheck && (health === 'healthy' || health === 'degraded');
  }

  /** No new picks ever again: the pool closes what is idle and lets the rest finish. */
  retire(): void {
    this.removed = true;
    this.drainPools();
  }

  drainPools(): void {
    this.pool?.drain();
    this.highPool?.drain();
  }
}

/** `ip:port`, an IPv6 address in brackets. */
export function labelOf({ ip, port }: AddressSpec): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** A host is the same host as long as its address and the TLS context it is dialled with are the same. */
export function hostKey(endpoint: EndpointSpec, tls: UpstreamTlsSpec | null): string {
  return `${labelOf(endpoint.address)} ${tls === null ? 'plaintext' : tls.key}`;
}

/** The TLS context of an endpoint: the first match whose labels it all has, else the cluster's own. */
export function tlsOf(spec: ClusterSpec, endpoint: EndpointSpec): UpstreamTlsSpec | null {
  const fits = spec.tlsMatches.find(({ match }) =>
    Object.entries(match).every(([name, value]) => endpoint.socketMatch[name] === value),
  );
  return fits === undefined ? spec.tls : fits.tls;
}

/** Whether a context needs the secret of that name. */
export function usesSecret(tls: UpstreamTlsSpec | null, secret: string): boolean {
  return tls !== null && (tls.trustedCa === secret || tls.certificates.includes(secret));
}

/** The host as /clusters shows it. */
export function hostState(host: ClusterHost): HostState {
  const { endpoint } = host;
  return {
    address: host.label,
    hostname: endpoint.hostname,
    weight: host.weight,
    priority: endpoint.priority,
    locality: endpoint.locality,
    flags: flagsOf(host),
    cxActive: host.activeConnections,
    cxTotal: host.cxTotal,
    cxConnectFail: host.cxConnectFail,
    rqActive: host.activeRequests,
    rqTotal: host.rqTotal,
    rqSuccess: host.rqSuccess,
    rqError: host.rqError,
    rqTimeout: host.rqTimeout,
    ejections: host.outlier.ejections,
  };
}

function flagsOf(host: ClusterHost): HostState['flags'] {
  const flags: HostState['flags'][number][] = [];
  if (host.failedActiveCheck) flags.push('failed_active_hc');
  if (host.ejected) flags.push('failed_outlier_check');
  if (host.failedActiveCheck && host.checkTimedOut) flags.push('active_hc_timeout');
  if (host.endpoint.health === 'unhealthy') flags.push('failed_eds_health');
  if (host.endpoint.health === 'degraded') flags.push('degraded_eds_health');
  if (host.endpoint.health === 'draining') flags.push('eds_status_draining');
  return flags;
}
