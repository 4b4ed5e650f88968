/**
 * Command operators that need no compiling: what each reads from the record of a request or connection. A switch and not
 * a table of functions: a log line has twenty of them, and V8 builds the switch into the loop that writes the line.
 */
import { labelOf } from '../cluster/host.ts';
import { grpcStatusOfHttp } from '../http/grpc-status.ts';
import type { LogRecord } from '../http/request-view.ts';
import { longFlags } from './response-flags.ts';

export const numberFields = [
  'RESPONSE_CODE',
  'GRPC_STATUS_NUMBER',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DURATION',
  'REQUEST_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_LOCAL_PORT',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_PORT',
  'DOWNSTREAM_LOCAL_PORT',
] as const;

export type NumberField = (typeof numberFields)[number];

/** Below 0 is "nothing there". */
export function numberOf(field: NumberField, r: LogRecord): number {
  switch (field) {
    case 'RESPONSE_CODE':
      return r.status;
    case 'GRPC_STATUS_NUMBER':
      return grpcStatus(r);
    case 'BYTES_RECEIVED':
      return r.bytesReceived;
    case 'BYTES_SENT':
      return r.bytesSent;
    case 'DURATION':
      return r.durationMs;
    case 'REQUEST_DURATION':
      return r.requestDurationMs;
    case 'RESPONSE_DURATION':
      return r.responseDurationMs;
    case 'RESPONSE_TX_DURATION':
      return r.responseTxDurationMs < 0 || r.responseDurationMs < 0 ? -1 : r.responseTxDurationMs;
    case 'UPSTREAM_REMOTE_PORT':
      return portOf(r.upstreamHost);
    case 'UPSTREAM_LOCAL_PORT':
      return portOf(r.upstreamLocalAddress);
    case 'UPSTREAM_REQUEST_ATTEMPT_COUNT':
      return r.attempts;
    case 'DOWNSTREAM_REMOTE_PORT':
      return remotePort(r);
    case 'DOWNSTREAM_DIRECT_REMOTE_PORT':
      return r.connection.directRemotePort ?? r.connection.remotePort;
    case 'DOWNSTREAM_LOCAL_PORT':
      return r.connection.localPort;
  }
}

/** Of gRPC calls only; an answer that does not say it counts by its HTTP status. */
function grpcStatus(r: LogRecord): number {
  if (r.request?.isGrpc !== true) return -1;
  const { grpcStatus: told = -1, status } = r;
  return told >= 0 || status === 0 ? told : grpcStatusOfHttp(status);
}

export const stringFields = [
  'PROTOCOL',
  'RESPONSE_CODE_DETAILS',
  'CONNECTION_TERMINATION_DETAILS',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'UPSTREAM_HOST',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'UPSTREAM_PEER_URI_SAN',
  'UPSTREAM_TLS_VERSION',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_LOCAL_URI_SAN',
  'DOWNSTREAM_PEER_SUBJECT',
  'DOWNSTREAM_PEER_FINGERPRINT_256',
  'DOWNSTREAM_PEER_CERT',
  'DOWNSTREAM_TLS_VERSION',
  'DOWNSTREAM_TLS_CIPHER',
  'REQUESTED_SERVER_NAME',
  'ROUTE_NAME',
  'VIRTUAL_CLUSTER_NAME',
] as const;

export type StringField = (typeof stringFields)[number];

/** null or '' is "nothing there". */
export function stringOf(field: StringField, r: LogRecord): string | null {
  switch (field) {
    case 'PROTOCOL':
      return r.request === null ? null : r.request.protocol;
    case 'RESPONSE_CODE_DETAILS':
      return r.request === null ? null : r.details;
    case 'CONNECTION_TERMINATION_DETAILS':
      return r.request === null ? r.details : null;
    case 'RESPONSE_FLAGS':
      return r.flags === '' ? '-' : r.flags;
    case 'RESPONSE_FLAGS_LONG':
      return r.flags === '' ? '-' : longFlags(r.flags);
    case 'UPSTREAM_HOST':
    case 'UPSTREAM_REMOTE_ADDRESS':
      return r.upstreamHost;
    case 'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return ipOf(r.upstreamHost);
    case 'UPSTREAM_LOCAL_ADDRESS':
      return r.upstreamLocalAddress;
    case 'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
      return ipOf(r.upstreamLocalAddress);
    case 'UPSTREAM_CLUSTER':
    case 'UPSTREAM_CLUSTER_RAW':
      return r.upstreamCluster;
    case 'UPSTREAM_TRANSPORT_FAILURE_REASON':
      return r.upstreamFailure;
    case 'UPSTREAM_PEER_URI_SAN':
      return r.upstreamPeerPrincipal;
    case 'UPSTREAM_TLS_VERSION':
      return r.upstreamTlsVersion;
    case 'ROUTE_NAME':
      return r.routeName;
    case 'VIRTUAL_CLUSTER_NAME':
      return r.virtualCluster;
    default:
      return ofConnection(field, r);
  }
}

function ofConnection(field: StringField, r: LogRecord): string | null {
  const { connection } = r;
  switch (field) {
    case 'DOWNSTREAM_REMOTE_ADDRESS':
      return addressText(remoteIp(r), remotePort(r));
    case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return remoteIp(r);
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS':
      return addressText(
        connection.directRemoteIp ?? connection.remoteIp,
        connection.directRemotePort ?? connection.remotePort,
      );
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT':
      return connection.directRemoteIp ?? connection.remoteIp;
    case 'DOWNSTREAM_LOCAL_ADDRESS':
      return addressText(connection.localIp, connection.localPort);
    case 'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
      return connection.localIp;
    case 'DOWNSTREAM_PEER_URI_SAN':
      return connection.peerPrincipal;
    case 'DOWNSTREAM_LOCAL_URI_SAN':
      return connection.localPrincipal;
    case 'DOWNSTREAM_PEER_SUBJECT':
      return connection.peerSubject();
    case 'DOWNSTREAM_PEER_FINGERPRINT_256':
      return connection.peerCertificateSha256();
    case 'DOWNSTREAM_PEER_CERT':
      return encodeURIComponent(connection.peerCertificatePem());
    case 'DOWNSTREAM_TLS_VERSION':
      return connection.tlsVersion;
    case 'DOWNSTREAM_TLS_CIPHER':
      return connection.tlsCipher;
    case 'REQUESTED_SERVER_NAME':
      return connection.sni;
    default:
      throw new Error(`${field} is not a field of connections`);
  }
}

function remoteIp(r: LogRecord): string {
  return r.request === null ? r.connection.remoteIp : r.request.remoteIp;
}

/** A client known from a header has no port. */
function remotePort(r: LogRecord): number {
  return remoteIp(r) === r.connection.remoteIp ? r.connection.remotePort : 0;
}

interface AddressText {
  readonly ip: string;
  readonly port: number;
  readonly text: string;
}

/** Addresses repeat with every request of their connection. */
const addressTexts: (AddressText | undefined)[] = new Array(1024).fill(undefined);

function addressText(ip: string, port: number): string {
  const known = addressTexts[port & 1023];
  if (known !== undefined && known.port === port && known.ip === ip) return known.text;
  const text = labelOf({ ip, port });
  addressTexts[port & 1023] = { ip, port, text };
  return text;
}

function ipOf(label: string): string {
  const colon = label.lastIndexOf(':');
  return label.slice(0, colon < 0 ? label.length : colon).replace(/^\[|\]$/g, '');
}

function portOf(label: string): number {
  const colon = label.lastIndexOf(':');
  return colon < 0 ? -1 : Number(label.slice(colon + 1));
}
