/** Http2ProtocolOptions, as listeners and clusters have them. */
import type { Http2ProtocolOptions, KeepaliveSettings } from '@chainmail/xds/proto/envoy/config/core/v3/protocol';
import { defaultHttp2Options, type Http2Options, type KeepaliveOptions } from '../http2/options.ts';
import type { MessageReader } from './message-reader.ts';

type Reader = MessageReader<Http2ProtocolOptions>;

const smallestWindow = 65_535;
const largestWindow = 0x7fffffff;

export function readHttp2Options(r: Reader): Http2Options {
  r.only('allowMetadata', false);
  r.only('streamErrorOnInvalidHttpMessaging', false);
  if (r.take('customSettingsParameters').length > 0) throw r.unsupported('customSettingsParameters');
  const d = defaultHttp2Options;
  return {
    ...d,
    hpackTableSize: r.take('hpackTableSize') ?? d.hpackTableSize,
    maxConcurrentStreams: r.take('maxConcurrentStreams') ?? d.maxConcurrentStreams,
    initialStreamWindowSize: readWindow(r, 'initialStreamWindowSize') ?? d.initialStreamWindowSize,
    initialConnectionWindowSize: readWindow(r, 'initialConnectionWindowSize') ?? d.initialConnectionWindowSize,
    allowConnect: r.take('allowConnect'),
    maxOutboundFrames: r.take('maxOutboundFrames') ?? d.maxOutboundFrames,
    maxOutboundControlFrames: r.take('maxOutboundControlFrames') ?? d.maxOutboundControlFrames,
    maxConsecutiveInboundFramesWithEmptyPayload:
      r.take('maxConsecutiveInboundFramesWithEmptyPayload') ?? d.maxConsecutiveInboundFramesWithEmptyPayload,
    maxInboundPriorityFramesPerStream:
      r.take('maxInboundPriorityFramesPerStream') ?? d.maxInboundPriorityFramesPerStream,
    maxInboundWindowUpdateFramesPerDataFrameSent:
      r.take('maxInboundWindowUpdateFramesPerDataFrameSent') ?? d.maxInboundWindowUpdateFramesPerDataFrameSent,
    overrideStreamErrorOnInvalidHttpMessage:
      r.take('overrideStreamErrorOnInvalidHttpMessage') ?? d.overrideStreamErrorOnInvalidHttpMessage,
    connectionKeepalive: r.inside('connectionKeepalive', readKeepalive) ?? null,
  };
}

function readWindow(r: Reader, name: 'initialStreamWindowSize' | 'initialConnectionWindowSize'): number | undefined {
  const size = r.take(name);
  if (size !== undefined && (size < smallestWindow || size > largestWindow)) {
    throw r.invalid(name, `must be in ${smallestWindow}..${largestWindow}`);
  }
  return size;
}

function readKeepalive(r: MessageReader<KeepaliveSettings>): KeepaliveOptions {
  const timeoutMs = r.durationMs('timeout');
  if (timeoutMs === undefined) throw r.invalid('timeout', 'is required');
  return {
    timeoutMs,
    intervalMs: r.durationMs('interval') ?? 0,
    intervalJitterPercent: r.inside('intervalJitter', (p) => p.take('value')) ?? 15,
    connectionIdleIntervalMs: r.durationMs('connectionIdleInterval') ?? 0,
  };
}
