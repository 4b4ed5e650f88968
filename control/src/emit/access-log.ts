/** The access log: one JSON object a request or connection on standard output; the field names are an API. */
import type { Any } from '@bufbuild/protobuf/wkt';
import { StdoutAccessLogSchema } from '@chainmail/xds/proto/envoy/extensions/access_loggers/stream/v3/stream';
import { pack } from './any.ts';

export type Direction = 'inbound' | 'outbound';

/** The peer is whoever is on the other side of the mTLS connection: downstream on the way in, upstream on the way out. */
const principals = {
  inbound: {
    peer_principal: '%DOWNSTREAM_PEER_URI_SAN%',
    local_principal: '%DOWNSTREAM_LOCAL_URI_SAN%',
    tls_version: '%DOWNSTREAM_TLS_VERSION%',
  },
  outbound: {
    peer_principal: '%UPSTREAM_PEER_URI_SAN%',
    tls_version: '%UPSTREAM_TLS_VERSION%',
  },
} as const;

const connection = {
  response_flags: '%RESPONSE_FLAGS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  duration: '%DURATION%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  upstream_cluster: '%UPSTREAM_CLUSTER%',
  upstream_host: '%UPSTREAM_HOST%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
} as const;

/**
 * On the way in the path is the one that the policy has judged: x-envoy-original-path is written by whoever calls, and
 * a caller could have any path logged. On the way out it is what the application asked for, before a rewrite.
 */
const paths = { inbound: '%REQ(:PATH)%', outbound: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%' } as const;

const request = {
  method: '%REQ(:METHOD)%',
  authority: '%REQ(:AUTHORITY)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  request_id: '%REQ(X-REQUEST-ID)%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
} as const;

/** What is logged of a request, and of a connection without requests, by the names of the fields. */
const fieldsOf = (direction: Direction) => ({
  http: {
    start_time: '%START_TIME%',
    direction,
    path: paths[direction],
    ...request,
    ...connection,
    ...principals[direction],
  },
  tcp: { start_time: '%START_TIME%', direction, protocol: 'tcp', ...connection, ...principals[direction] },
});

export const accessLogFields = { inbound: fieldsOf('inbound'), outbound: fieldsOf('outbound') } as const;

function logger(format: Readonly<Record<string, string>>): {
  name: string;
  configType: { case: 'typedConfig'; value: Any };
} {
  const value = pack(StdoutAccessLogSchema, {
    accessLogFormat: {
      case: 'logFormat',
      value: { format: { case: 'jsonFormat', value: format } },
    },
  });
  return { name: 'envoy.access_loggers.stdout', configType: { case: 'typedConfig', value } };
}

const of = (direction: Direction) => ({
  http: logger(accessLogFields[direction].http),
  tcp: logger(accessLogFields[direction].tcp),
});

/** Packed once: every filter chain holds the same bytes. */
export const accessLogs = { inbound: of('inbound'), outbound: of('outbound') } as const;
