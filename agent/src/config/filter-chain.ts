/** One filter chain: what it matches, its TLS and its filters. */
import type { FilterChain, FilterChainMatch } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { FilterChainMatchSpec, FilterChainSpec } from '../model/listener.ts';
import { readCidr } from './address.ts';
import { type CompileContext, contentHash } from './compile-context.ts';
import type { MessageReader } from './message-reader.ts';
import { readNetworkFilter } from './network-filter.ts';
import { readDownstreamSocket } from './tls-context.ts';

const defaultSocketConnectTimeoutMs = 15_000;

const matchAll: FilterChainMatchSpec = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
};

/** @param place the listener's name and the chain's index, for names made up for what is inline */
export function readFilterChain(
  r: MessageReader<FilterChain>,
  place: string,
  context: CompileContext,
): FilterChainSpec {
  r.only('useProxyProto', false);
  const name = r.take('name');
  const filters = r.each('filters', (f) => readNetworkFilter(f, name === '' ? place : `${place}/${name}`, context));
  const last = filters.at(-1);
  if (last === undefined || last.kind !== 'terminal') {
    throw r.invalid('filters', 'the last filter must be a terminal one (tcp_proxy or http_connection_manager)');
  }
  const rbac = filters.slice(0, -1).map((f, i) => {
    if (f.kind === 'rbac') return f.spec;
    throw r.invalid('filters', `the terminal filter [${i}] must be the last`);
  });
  const spec = {
    name,
    match: r.inside('filterChainMatch', readMatch) ?? matchAll,
    tls: r.inside('transportSocket', (s) => readDownstreamSocket(s, context)) ?? null,
    transportSocketConnectTimeoutMs: r.durationMs('transportSocketConnectTimeout') ?? defaultSocketConnectTimeoutMs,
    rbac,
    terminal: last.spec,
  };
  return { ...spec, key: contentHash(spec) };
}

const sourceTypes = { ANY: 'any', SAME_IP_OR_LOOPBACK: 'same_ip_or_loopback', EXTERNAL: 'external' } as const;

function readMatch(r: MessageReader<FilterChainMatch>): FilterChainMatchSpec {
  return {
    destinationPort: r.take('destinationPort') ?? null,
    prefixRanges: r.each('prefixRanges', readCidr),
    serverNames: readServerNames(r),
    transportProtocol: readTransport(r),
    applicationProtocols: r.take('applicationProtocols'),
    sourceType: r.oneOf('sourceType', sourceTypes),
    sourcePrefixRanges: r.each('sourcePrefixRanges', readCidr),
    sourcePorts: r.take('sourcePorts'),
  };
}

function readServerNames(r: MessageReader<FilterChainMatch>): readonly string[] {
  return r.take('serverNames').map((name) => {
    const lower = name.toLowerCase();
    if (lower.includes('*') && !/^\*(\.[^*]+)?$/.test(lower)) {
      throw r.invalid('serverNames', `'${name}': partial wildcards are not supported`);
    }
    return lower;
  });
}

function readTransport(r: MessageReader<FilterChainMatch>): FilterChainMatchSpec['transportProtocol'] {
  const value = r.take('transportProtocol');
  if (value === '' || value === 'tls' || value === 'raw_buffer') return value;
  throw r.unsupported('transportProtocol', `'${value}' is not implemented (tls, raw_buffer are)`);
}
