/** ProxyProtocolConfig: which PROXY header is written; TLVs in it are refused, being set and not taken. */
import type { ProxyProtocolConfig } from '@chainmail/xds/proto/envoy/config/core/v3/proxy_protocol';
import type { MessageReader } from './message-reader.ts';

export function readProxyVersion(r: MessageReader<ProxyProtocolConfig>): 'v1' | 'v2' {
  return r.oneOf('version', { V1: 'v1', V2: 'v2' } as const);
}
