/** What the access log says of a TCP connection: the fields of requests stay empty. */
import type { Host } from '../cluster/cluster.ts';
import type { LogRecord } from '../http/request-view.ts';
import type { Stream } from '../net/stream.ts';

export interface TcpOutcome {
  readonly stream: Stream;
  readonly startTimeMs: number;
  readonly durationMs?: number;
  readonly flags?: string;
  readonly details?: string;
  readonly cluster?: string;
  readonly host?: Host | null;
  readonly upstream?: Stream | null;
  readonly attempts?: number;
}

export function tcpLogRecord(outcome: TcpOutcome): LogRecord {
  const { stream, upstream, host } = outcome;
  const info = upstream?.info;
  return {
    request: null,
    connection: stream.info,
    startTimeMs: outcome.startTimeMs,
    durationMs: outcome.durationMs ?? 0,
    requestDurationMs: -1,
    responseDurationMs: -1,
    responseTxDurationMs: -1,
    status: 0,
    flags: outcome.flags ?? '',
    details: outcome.details ?? '',
    bytesReceived: stream.bytesReceived,
    bytesSent: stream.bytesSent,
    routeName: '',
    virtualHost: '',
    virtualCluster: '',
    upstreamCluster: outcome.cluster ?? '',
    upstreamHost: host?.label ?? '',
    upstreamLocalAddress: info === undefined || info.localIp === '' ? '' : hostPort(info.localIp, info.localPort),
    upstreamPeerPrincipal: info?.peerPrincipal ?? '',
    upstreamTlsVersion: info?.tlsVersion ?? '',
    upstreamFailure: upstream?.failure ?? '',
    attempts: outcome.attempts ?? 0,
    rewrittenFrom: '',
    responseHeader: () => null,
    locateResponse: () => false,
  };
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
