/** Listener to ListenerSpec. */
import { randomUUID } from 'node:crypto';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { ListenerFilter } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { HttpInspector } from '@chainmail/xds/proto/envoy/extensions/filters/listener/http_inspector/v3/http_inspector';
import type { OriginalDst } from '@chainmail/xds/proto/envoy/extensions/filters/listener/original_dst/v3/original_dst';
import type { ProxyProtocol } from '@chainmail/xds/proto/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol';
import type { TlsInspector } from '@chainmail/xds/proto/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { AddressSpec, FilterChainSpec, ListenerSpec, ProxyProtocolSpec } from '../model/listener.ts';
import { workerStatBase } from '../stats/layout.ts';
import { addressText, readIpAddress } from './address.ts';
import type { CompileContext } from './compile-context.ts';
import { isUdp, readDnsListener } from './dns-filter.ts';
import { readFilterChain } from './filter-chain.ts';
import { extension, type MessageReader, readMessage } from './message-reader.ts';

const defaultListenerFiltersTimeoutMs = 15_000;
const defaultBufferLimitBytes = 1024 * 1024;
/** The kernel caps it at net.core.somaxconn. */
const defaultBacklog = 4096;

const directions = { UNSPECIFIED: 'unspecified', INBOUND: 'inbound', OUTBOUND: 'outbound' } as const;

export interface CompiledListener {
  readonly spec: ListenerSpec;
  /** Of a listener that the main thread serves: the spec has no chains then, and workers do not get it. */
  readonly dns: DnsListenerSpec | null;
}

/** @throws FieldError for what is wrong or not implemented */
export function compileListener(message: Listener, path: string, context: CompileContext): CompiledListener {
  const read = (r: MessageReader<Listener>): CompiledListener =>
    isUdp(message) ? dnsListener(r) : { spec: readListener(r, context), dns: null };
  return readMessage(message, path, read, context.env.runtime);
}

function dnsListener(r: MessageReader<Listener>): CompiledListener {
  const dns = readDnsListener(r, r.take('name') || randomUUID());
  const { name, addresses, statPrefix } = dns;
  return { spec: { ...withoutChains, name, addresses, statPrefix }, dns };
}

const withoutChains: Omit<ListenerSpec, 'name' | 'addresses' | 'statPrefix'> = {
  stats: workerStatBase,
  direction: 'unspecified',
  originalDst: false,
  tlsInspector: false,
  httpInspector: false,
  listenerFiltersTimeoutMs: 0,
  continueOnListenerFiltersTimeout: false,
  bufferLimitBytes: 0,
  backlog: 0,
  chains: [],
  defaultChain: null,
};

function readListener(r: MessageReader<Listener>, context: CompileContext): ListenerSpec {
  refuseOtherBehaviour(r);
  const name = r.take('name') || randomUUID();
  const addresses = [
    r.required('address', readIpAddress),
    ...r.each('additionalAddresses', (a) => a.required('address', readIpAddress)),
  ];
  const chains = r.each('filterChains', (c, i) => readFilterChain(c, { listener: name, position: `${i}` }, context));
  const fallback = { listener: name, position: 'default' };
  const defaultChain = r.inside('defaultFilterChain', (c) => readFilterChain(c, fallback, context)) ?? null;
  if (chains.length === 0 && defaultChain === null) throw r.invalid('filterChains', 'no filter chains specified');
  refuseEqualMatches(r, chains);
  const filters = readListenerFilters(r, context);
  const statPrefix = r.take('statPrefix') || statPrefixOf(addresses[0]);
  return {
    name,
    statPrefix,
    stats: context.env.stats.listener(statPrefix),
    addresses,
    direction: r.oneOf('trafficDirection', directions),
    originalDst: filters.has('original_dst'),
    proxyProtocol: filters.get('proxy_protocol') ?? null,
    // Envoy too adds the inspector by itself where a chain needs it.
    tlsInspector: filters.has('tls_inspector') || chains.some(needsTlsInspector),
    httpInspector: filters.has('http_inspector'),
    listenerFiltersTimeoutMs: r.durationMs('listenerFiltersTimeout') ?? defaultListenerFiltersTimeoutMs,
    continueOnListenerFiltersTimeout: r.take('continueOnListenerFiltersTimeout'),
    bufferLimitBytes: r.take('perConnectionBufferLimitBytes') ?? defaultBufferLimitBytes,
    ignoreGlobalLimit: r.take('ignoreGlobalConnLimit'),
    backlog: r.take('tcpBacklogSize') ?? defaultBacklog,
    acceptsPerTurn: r.take('maxConnectionsToAcceptPerSocketEvent') ?? 0,
    chains,
    defaultChain,
  };
}

/** Switches that are accepted at what the agent does in any case. */
function refuseOtherBehaviour(r: MessageReader<Listener>): void {
  r.only('useOriginalDst', false);
  r.only('transparent', false);
  r.only('freebind', false);
  r.only('enableReusePort', true);
  r.only('bindToPort', true);
  r.only('enableMptcp', false);
  r.oneOf('drainType', { DEFAULT: null });
}

type ListenerFilterKind = 'original_dst' | 'tls_inspector' | 'http_inspector' | 'proxy_protocol';
type ReadFilter = readonly [ListenerFilterKind, ProxyProtocolSpec | null];

function readListenerFilters(
  r: MessageReader<Listener>,
  context: CompileContext,
): ReadonlyMap<ListenerFilterKind, ProxyProtocolSpec | null> {
  const filters = r.each('listenerFilters', (f) => readListenerFilter(f, context));
  const at = filters.findIndex(([kind]) => kind === 'proxy_protocol');
  if (at > 0 && filters.slice(0, at).some(([kind]) => kind !== 'original_dst')) {
    throw r.invalid('listenerFilters', 'proxy_protocol must come before the inspectors, which would see its header');
  }
  return new Map(filters);
}

function readListenerFilter(r: MessageReader<ListenerFilter>, context: CompileContext): ReadFilter {
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  if (config.case !== 'typedConfig') throw r.unsupported(config.case);
  return r.extension<ReadFilter>('typedConfig', config.value, [
    extension<OriginalDst, ReadFilter>('envoy.extensions.filters.listener.original_dst.v3.OriginalDst', () => [
      'original_dst',
      null,
    ]),
    extension<TlsInspector, ReadFilter>('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', (t) => {
      t.only('enableJa3Fingerprinting', false);
      return ['tls_inspector', null];
    }),
    extension<HttpInspector, ReadFilter>('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', () => [
      'http_inspector',
      null,
    ]),
    extension<ProxyProtocol, ReadFilter>('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', (p) => [
      'proxy_protocol',
      readProxyProtocol(p, context),
    ]),
  ]);
}

const proxyVersions = { V1: 'v1', V2: 'v2' } as const;

function readProxyProtocol(r: MessageReader<ProxyProtocol>, context: CompileContext): ProxyProtocolSpec {
  return {
    stats: context.env.stats.proxyProto(r.take('statPrefix').replace(/\.$/, '')),
    errorStats: context.env.stats.listenerFilters(),
    allowWithout: r.take('allowRequestsWithoutProxyProtocol'),
    disallowed: r.take('disallowedVersions').map((v) => {
      const name = r.enumNameOf('disallowedVersions', v);
      return proxyVersions[name as keyof typeof proxyVersions];
    }),
  };
}

function needsTlsInspector(chain: FilterChainSpec): boolean {
  const { serverNames, transportProtocol, applicationProtocols } = chain.match;
  if ((chain.tls?.certificates.length ?? 0) > 1) return true; // the name chooses the certificate
  return serverNames.length > 0 || transportProtocol !== '' || applicationProtocols.length > 0;
}

function refuseEqualMatches(r: MessageReader<Listener>, chains: readonly FilterChainSpec[]): void {
  const seen = new Map<string, number>();
  chains.forEach((chain, i) => {
    const match = JSON.stringify(chain.match);
    const first = seen.get(match);
    if (first !== undefined) {
      throw r.invalid('', `filter_chains[${i}] has the same matching rules as filter_chains[${first}]`);
    }
    seen.set(match, i);
  });
}

function statPrefixOf(address: AddressSpec | undefined): string {
  return address === undefined ? '' : addressText(address).replaceAll(':', '_');
}
