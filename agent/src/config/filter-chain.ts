/** One filter chain: what it matches, its TLS and its filters. */
import type { FilterChain, FilterChainMatch } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { FilterChainMatchSpec, FilterChainSpec } from '../model/listener.ts';
import { readCidr } from './address.ts';
import { type CompileContext, contentHash } from './compile-context.ts';
import type { MessageReader } from './message-reader.ts';
import { type ChainNames, readNetworkFilter } from './network-filter.ts';
import { readDownstreamSocket } from './tls-context.ts';

const defaultSocketConnectTimeoutMs = 15_000;

export interface ChainPlace {
  readonly listener: string;
  readonly position: string;
}

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

/** @param place the listener's name and the chain's position, for names made up for what belongs to the chain */
export function readFilterChain(
  r: MessageReader<FilterChain>,
  place: ChainPlace,
  context: CompileContext,
): FilterChainSpec {
  r.only('useProxyProto', false);
  const name = r.take('name');
  const at = `${place.listener}/${place.position}`;
  const names: ChainNames = {
    inlineRoutes: name === '' ? at : `${at}/${name}`,
    // Not by its position where it has a name: a chain that stays goes on counting when others come before it.
    limit: name === '' ? at : `${place.listener}/${name}`,
  };
  const filters = r.each('filters', (f) => readNetworkFilter(f, names, context));
  const last = filters.at(-1);
  if (last === undefined || last.kind !== 'terminal') {
    throw r.invalid('filters', 'the last filter must be a terminal one (tcp_proxy or http_connection_manager)');
  }
  const terminal = filters.findIndex((f) => f.kind === 'terminal');
  if (terminal < filters.length - 1) throw r.invalid('filters', `the terminal filter [${terminal}] must be the last`);
  const limits = filters.flatMap((f) => (f.kind === 'connection_limit' && f.spec !== null ? [f.spec] : []));
  const spec = {
    name,
    match: r.inside('filterChainMatch', readMatch) ?? matchAll,
    tls: r.inside('transportSocket', (s) => readDownstreamSocket(s, context)) ?? null,
    transportSocketConnectTimeoutMs: r.durationMs('transportSocketConnectTimeout') ?? defaultSocketConnectTimeoutMs,
    ...(limits.length === 0 ? {} : { limits }),
    rbac: filters.flatMap((f) => (f.kind === 'rbac' ? [f.spec] : [])),
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
