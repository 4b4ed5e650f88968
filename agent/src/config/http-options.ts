/** Protocol options that listeners and clusters share: HttpProtocolOptions and Http1ProtocolOptions. */
import type { Http1ProtocolOptions, HttpProtocolOptions } from '@chainmail/xds/proto/envoy/config/core/v3/protocol';
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import type { MessageReader } from './message-reader.ts';

export interface CommonHttpOptions {
  /** undefined where the default of the place holds; 0 is off. */
  readonly idleTimeoutMs: number | undefined;
  readonly maxConnectionDurationMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly maxHeadersCount: number | undefined;
  /** Of clusters alone. */
  readonly maxResponseHeadersBytes: number | undefined;
  readonly maxRequestsPerConnection: number | undefined;
  readonly underscores: HttpConnectionManagerSpec['rejectUnderscoreHeaders'];
}

const underscores = { ALLOW: 'allow', REJECT_REQUEST: 'reject', DROP_HEADER: 'drop' } as const;

export function readCommonHttpOptions(r: MessageReader<HttpProtocolOptions>): CommonHttpOptions {
  const responseKb = r.take('maxResponseHeadersKb');
  return {
    idleTimeoutMs: r.durationMs('idleTimeout'),
    maxConnectionDurationMs: r.durationMs('maxConnectionDuration'),
    maxStreamDurationMs: r.durationMs('maxStreamDuration'),
    maxHeadersCount: r.take('maxHeadersCount'),
    maxResponseHeadersBytes: responseKb === undefined ? undefined : responseKb * 1024,
    maxRequestsPerConnection: r.take('maxRequestsPerConnection'),
    underscores: r.oneOf('headersWithUnderscoresAction', underscores),
  };
}

export interface Http1Options {
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly enableTrailers: boolean;
}

export function readHttp1Options(r: MessageReader<Http1ProtocolOptions>): Http1Options {
  r.only('allowChunkedLength', false);
  r.only('overrideStreamErrorOnInvalidHttpMessage', false);
  r.only('sendFullyQualifiedUrl', false);
  r.only('allowCustomMethods', false);
  return {
    acceptHttp10: r.take('acceptHttp10'),
    defaultHostForHttp10: r.take('defaultHostForHttp10'),
    enableTrailers: r.take('enableTrailers'),
  };
}
