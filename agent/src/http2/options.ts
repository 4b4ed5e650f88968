/**
 * What can be set for a connection: Envoy's Http2ProtocolOptions (config.core.v3) in our spelling, and the limits that
 * Envoy keeps elsewhere. Compiled once when configuration arrives; connections only read.
 */

export interface KeepaliveOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Up to this share of the interval is added at random: 15 by default. */
  readonly intervalJitterPercent: number;
  /** A PING goes out before the first stream after the connection was idle that long; 0 never. */
  readonly connectionIdleIntervalMs: number;
}

export interface Http2Options {
  /** hpack_table_size: announced for our decoder, and the bound of our encoder. */
  readonly hpackTableSize: number;
  /** max_concurrent_streams: announced by servers; what clients keep to besides the peer's. */
  readonly maxConcurrentStreams: number;
  /** initial_stream_window_size, 65,535 to 2^31 - 1. */
  readonly initialStreamWindowSize: number;
  /** initial_connection_window_size, 65,535 to 2^31 - 1. */
  readonly initialConnectionWindowSize: number;
  /** allow_connect: extended CONNECT (RFC 8441). */
  readonly allowConnect: boolean;
  readonly maxOutboundFrames: number;
  readonly maxOutboundControlFrames: number;
  readonly maxConsecutiveInboundFramesWithEmptyPayload: number;
  readonly maxInboundPriorityFramesPerStream: number;
  readonly maxInboundWindowUpdateFramesPerDataFrameSent: number;
  /** A malformed message ends its stream only, not the connection. */
  readonly overrideStreamErrorOnInvalidHttpMessage: boolean;
  readonly connectionKeepalive: KeepaliveOptions | null;
  /** max_request_headers_kb and max_headers_count: of the decoded head, every cookie crumb counted. */
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  /** overload.premature_reset_total_stream_count and overload.premature_reset_min_stream_lifetime_seconds. */
  readonly prematureResetTotalStreamCount: number;
  readonly prematureResetMinStreamLifetimeMs: number;
  /** Time for the peer to acknowledge our SETTINGS; 0 for ever. */
  readonly settingsTimeoutMs: number;
  /** Scheme of requests whose head does not say it: that of the transport. */
  readonly scheme: 'http' | 'https';
}

/** Envoy's defaults; the windows are smaller, because they bound what a stalled stream costs in memory. */
export const defaultHttp2Options: Http2Options = {
  hpackTableSize: 4096,
  maxConcurrentStreams: 1024,
  initialStreamWindowSize: 262_144,
  initialConnectionWindowSize: 16_777_216,
  allowConnect: false,
  maxOutboundFrames: 10_000,
  maxOutboundControlFrames: 1000,
  maxConsecutiveInboundFramesWithEmptyPayload: 1,
  maxInboundPriorityFramesPerStream: 100,
  maxInboundWindowUpdateFramesPerDataFrameSent: 10,
  overrideStreamErrorOnInvalidHttpMessage: false,
  connectionKeepalive: null,
  maxHeaderBytes: 61_440,
  maxHeaders: 100,
  prematureResetTotalStreamCount: 500,
  prematureResetMinStreamLifetimeMs: 1000,
  settingsTimeoutMs: 10_000,
  scheme: 'http',
};
