/** HTTP/2 wherever an agent speaks it. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Http2ProtocolOptionsSchema } from '@chainmail/xds/proto/envoy/config/core/v3/protocol';

/**
 * One connection carries the requests of many callers: a malformed message of one ends its stream and not the connection
 * of all. Who sends many has his connection closed all the same (premature resets).
 */
export const http2ProtocolOptions = {
  overrideStreamErrorOnInvalidHttpMessage: true,
} as const satisfies MessageInitShape<typeof Http2ProtocolOptionsSchema>;
