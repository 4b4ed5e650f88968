/**
 * Envoy's command operators: what each reads from the record of a request or connection. Compiled once; a name or
 * parameter that is not known is refused here, when configuration arrives.
 */
import os from 'node:os';
import { UserError } from '@chainmail/runtime/errors';
import { labelOf } from '../cluster/host.ts';
import type { LogRecord } from '../http/request-view.ts';
import { queryParameter } from '../route/query-match.ts';
import { longFlags } from './response-flags.ts';
import { compileTimeFormat } from './time-format.ts';

/** null or '' is "nothing there"; of a number, anything below 0. */
export type Operator =
  | { readonly kind: 'string'; readonly read: (record: LogRecord) => string | null; readonly keepsEmpty?: boolean }
  | { readonly kind: 'number'; readonly read: (record: LogRecord) => number };

const text = (read: (record: LogRecord) => string | null): Operator => ({ kind: 'string', read });
const number = (read: (record: LogRecord) => number): Operator => ({ kind: 'number', read });

const remoteIp = (r: LogRecord): string => r.request?.remoteIp ?? r.connection.remoteIp;
/** A client known from a header has no port. */
const remotePort = (r: LogRecord): number => (remoteIp(r) === r.connection.remoteIp ? r.connection.remotePort : 0);

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

const plain: Readonly<Record<string, Operator>> = {
  PROTOCOL: text((r) => r.request?.protocol ?? null),
  RESPONSE_CODE: number((r) => r.status),
  RESPONSE_CODE_DETAILS: text((r) => (r.request === null ? null : r.details)),
  CONNECTION_TERMINATION_DETAILS: text((r) => (r.request === null ? r.details : null)),
  RESPONSE_FLAGS: text((r) => (r.flags === '' ? '-' : r.flags)),
  RESPONSE_FLAGS_LONG: text((r) => (r.flags === '' ? '-' : longFlags(r.flags))),
  BYTES_RECEIVED: number((r) => r.bytesReceived),
  BYTES_SENT: number((r) => r.bytesSent),
  DURATION: number((r) => r.durationMs),
  REQUEST_DURATION: number((r) => r.requestDurationMs),
  RESPONSE_DURATION: number((r) => r.responseDurationMs),
  RESPONSE_TX_DURATION: number((r) =>
    r.responseTxDurationMs < 0 || r.responseDurationMs < 0 ? -1 : r.responseTxDurationMs,
  ),
  UPSTREAM_HOST: text((r) => r.upstreamHost),
  UPSTREAM_REMOTE_ADDRESS: text((r) => r.upstreamHost),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: text((r) => ipOf(r.upstreamHost)),
  UPSTREAM_REMOTE_PORT: number((r) => portOf(r.upstreamHost)),
  UPSTREAM_LOCAL_ADDRESS: text((r) => r.upstreamLocalAddress),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: text((r) => ipOf(r.upstreamLocalAddress)),
  UPSTREAM_LOCAL_PORT: number((r) => portOf(r.upstreamLocalAddress)),
  UPSTREAM_CLUSTER: text((r) => r.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: text((r) => r.upstreamCluster),
  UPSTREAM_TRANSPORT_FAILURE_REASON: text((r) => r.upstreamFailure),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: number((r) => r.attempts),
  UPSTREAM_PEER_URI_SAN: text((r) => r.upstreamPeerPrincipal),
  UPSTREAM_TLS_VERSION: text((r) => r.upstreamTlsVersion),
  DOWNSTREAM_REMOTE_ADDRESS: text((r) => addressText(remoteIp(r), remotePort(r))),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: text(remoteIp),
  DOWNSTREAM_REMOTE_PORT: number(remotePort),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: text(({ connection: c }) =>
    labelOf({ ip: c.directRemoteIp ?? c.remoteIp, port: c.directRemotePort ?? c.remotePort }),
  ),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: text((r) => r.connection.directRemoteIp ?? r.connection.remoteIp),
  DOWNSTREAM_DIRECT_REMOTE_PORT: number((r) => r.connection.remotePort),
  DOWNSTREAM_LOCAL_ADDRESS: text((r) => addressText(r.connection.localIp, r.connection.localPort)),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: text((r) => r.connection.localIp),
  DOWNSTREAM_LOCAL_PORT: number((r) => r.connection.localPort),
  DOWNSTREAM_PEER_URI_SAN: text((r) => r.connection.peerPrincipal),
  DOWNSTREAM_LOCAL_URI_SAN: text((r) => r.connection.localPrincipal),
  DOWNSTREAM_PEER_SUBJECT: text((r) => r.connection.peerSubject()),
  DOWNSTREAM_PEER_FINGERPRINT_256: text((r) => r.connection.peerCertificateSha256()),
  DOWNSTREAM_PEER_CERT: text((r) => encodeURIComponent(r.connection.peerCertificatePem())),
  DOWNSTREAM_TLS_VERSION: text((r) => r.connection.tlsVersion),
  DOWNSTREAM_TLS_CIPHER: text((r) => r.connection.tlsCipher),
  REQUESTED_SERVER_NAME: text((r) => r.connection.sni),
  /** Nothing is a body too. */
  LOCAL_REPLY_BODY: { kind: 'string', read: (r) => r.localReplyBody ?? null, keepsEmpty: true },
  ROUTE_NAME: text((r) => r.routeName),
  /** Virtual clusters are refused in routes, so no request ever has one. */
  VIRTUAL_CLUSTER_NAME: text(() => null),
};

const withParameters: Readonly<Record<string, (parameters: string, operator: string) => Operator>> = {
  START_TIME: (format) => {
    const show = compileTimeFormat(format);
    return text((r) => show(r.startTimeMs));
  },
  EMIT_TIME: (format) => {
    const show = compileTimeFormat(format);
    return text((r) => show(r.startTimeMs + Math.max(0, r.durationMs)));
  },
  REQ: (names, operator) => eitherOf(names, operator, requestHeader),
  RESP: (names, operator) => eitherOf(names, operator, (name) => (r) => r.responseHeader(name)),
  QUERY_PARAM: (name) => text((r) => (r.request === null ? null : queryParameter(r.request.path, name))),
  HOSTNAME: () => {
    const name = os.hostname();
    return text(() => name);
  },
};

/** Operators that make no sense without parameters. */
const parametersRequired: ReadonlySet<string> = new Set(['REQ', 'RESP', 'QUERY_PARAM']);

/**
 * Finds the reader of an operator.
 * @throws UserError LOG_UNKNOWN_OPERATOR, LOG_FORMAT_INVALID
 */
export function compileOperator(name: string, parameters: string | null): Operator {
  const fixed = Object.hasOwn(plain, name) ? plain[name] : undefined;
  if (fixed !== undefined) {
    if (parameters !== null) throw wrongParameters(name, `takes no parameters, but has (${parameters})`);
    return fixed;
  }
  const made = Object.hasOwn(withParameters, name) ? withParameters[name] : undefined;
  if (made === undefined) {
    const names = [...Object.keys(plain), ...Object.keys(withParameters)].toSorted().join(' ');
    throw new UserError('LOG_UNKNOWN_OPERATOR', `Not supported field in StreamInfo: ${name}`, {
      hint: `known: ${names}`,
    });
  }
  if (parametersRequired.has(name) && (parameters === null || parameters === '')) {
    throw wrongParameters(name, 'needs a name in parentheses');
  }
  return made(parameters ?? '', name);
}

/** `X?Y`: Y when X is not there. */
function eitherOf(
  names: string,
  operator: string,
  reader: (name: string) => (record: LogRecord) => string | null,
): Operator {
  const [first = '', second, ...more] = names.toLowerCase().split('?');
  if (more.length > 0 || first === '' || second === '') throw wrongParameters(operator, 'takes NAME or NAME?OTHER');
  const main = reader(first);
  if (second === undefined) return text(main);
  const alternative = reader(second);
  return text((r) => main(r) ?? alternative(r));
}

/** The path before a rewrite is known to the record, not to the request as it came. */
function requestHeader(name: string): (record: LogRecord) => string | null {
  if (name === 'x-envoy-original-path') {
    return (r) => (r.request === null || r.originalPath === r.request.path ? null : r.originalPath);
  }
  return (r) => (r.request === null ? null : r.request.header(name));
}

function ipOf(label: string): string {
  const colon = label.lastIndexOf(':');
  return label.slice(0, colon < 0 ? label.length : colon).replace(/^\[|\]$/g, '');
}

function portOf(label: string): number {
  const colon = label.lastIndexOf(':');
  return colon < 0 ? -1 : Number(label.slice(colon + 1));
}

function wrongParameters(name: string, what: string): UserError {
  return new UserError('LOG_FORMAT_INVALID', `%${name}% ${what}`, {
    hint: 'see the access log documentation of Envoy',
  });
}
