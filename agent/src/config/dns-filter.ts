/** A UDP listener with envoy.filters.udp.dns_filter: the only UDP listener there is. */
import type { Address } from '@chainmail/xds/proto/envoy/config/core/v3/address';
import type { TypedExtensionConfig } from '@chainmail/xds/proto/envoy/config/core/v3/extension';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { ListenerFilter } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { UdpListenerConfig } from '@chainmail/xds/proto/envoy/config/listener/v3/udp_listener_config';
import type { DnsTable, DnsTable_DnsVirtualDomain } from '@chainmail/xds/proto/envoy/data/dns/v3/dns_table';
import type {
  DnsFilterConfig,
  DnsFilterConfig_ClientContextConfig,
  DnsFilterConfig_ServerContextConfig,
} from '@chainmail/xds/proto/envoy/extensions/filters/udp/dns_filter/v3/dns_filter';
import type { CaresDnsResolverConfig } from '@chainmail/xds/proto/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver';
import type { DnsDomainSpec, DnsForwardSpec, DnsListenerSpec } from '../model/dns.ts';
import type { AddressSpec } from '../model/listener.ts';
import { isIP } from '../sys/ip-text.ts';
import { canonicalIp } from './address.ts';
import { extension, type MessageReader } from './message-reader.ts';

const udp = 1;
const defaultTtlS = 300;
/** Envoy's defaults. */
const defaults = { timeoutMs: 500, maxPending: 256, retries: 3 } as const;

export function isUdp(message: Listener): boolean {
  const address = message.address?.address;
  return address?.case === 'socketAddress' && address.value.protocol === udp;
}

/** name: the listener's, or one that was made up. */
export function readDnsListener(r: MessageReader<Listener>, name: string): DnsListenerSpec {
  const addresses = [
    r.required('address', readUdpAddress),
    ...r.each('additionalAddresses', (a) => a.required('address', readUdpAddress)),
  ];
  r.inside('udpListenerConfig', readUdpOptions);
  r.take('trafficDirection');
  r.take('statPrefix');
  r.only('enableReusePort', true);
  r.only('bindToPort', true);
  const [filter, ...more] = r.each('listenerFilters', readFilter);
  if (filter === undefined || more.length > 0) {
    throw r.unsupported('listenerFilters', 'a UDP listener must have exactly one filter, envoy.filters.udp.dns_filter');
  }
  return { name, addresses, ...filter };
}

function readUdpAddress(r: MessageReader<Address>): AddressSpec {
  const address = r.take('address');
  if (address.case !== 'socketAddress') throw r.unsupported(address.case ?? 'address');
  return r.within(address.case, address.value, (s) => {
    if (s.take('protocol') !== udp) throw s.invalid('protocol', 'all addresses of a listener must have one protocol');
    const port = s.take('portSpecifier');
    if (port.case === 'namedPort') throw s.unsupported('namedPort');
    const ip = s.take('address');
    if (!isIP(ip)) throw s.invalid('address', `malformed IP address: ${ip}`);
    return { ip: canonicalIp(ip), port: port.value ?? 0 };
  });
}

/** A question is always taken whole. */
function readUdpOptions(r: MessageReader<UdpListenerConfig>): void {
  r.inside('downstreamSocketConfig', (s) => {
    s.take('maxRxDatagramSize');
    s.take('preferGro');
  });
}

type Filter = Pick<DnsListenerSpec, 'statPrefix' | 'domains' | 'forward'>;

function readFilter(r: MessageReader<ListenerFilter>): Filter {
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  if (config.case !== 'typedConfig') throw r.unsupported(config.case);
  return r.extension<Filter>('typedConfig', config.value, [
    extension<DnsFilterConfig, Filter>('envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig', readDnsFilter),
  ]);
}

function readDnsFilter(r: MessageReader<DnsFilterConfig>): Filter {
  const table = r.inside('serverConfig', readServer) ?? { domains: [], retries: defaults.retries };
  const client = r.inside('clientConfig', readClient) ?? null;
  return {
    statPrefix: r.take('statPrefix'),
    domains: table.domains,
    forward: client === null ? null : { ...client, retries: table.retries },
  };
}

interface Table {
  readonly domains: readonly DnsDomainSpec[];
  readonly retries: number;
}

function readServer(r: MessageReader<DnsFilterConfig_ServerContextConfig>): Table {
  const source = r.take('configSource');
  if (source.case !== 'inlineDnsTable') {
    throw r.unsupported(source.case ?? 'configSource', 'only inline_dns_table is implemented');
  }
  return r.within(source.case, source.value, (t: MessageReader<DnsTable>) => {
    const domains = t.each('virtualDomains', readDomain);
    refuseDoubles(t, domains);
    return { domains, retries: t.take('externalRetryCount') || defaults.retries };
  });
}

function refuseDoubles(r: MessageReader<DnsTable>, domains: readonly DnsDomainSpec[]): void {
  const seen = new Map<string, number>();
  domains.forEach(({ name }, i) => {
    const first = seen.get(name);
    if (first !== undefined) {
      throw r.invalid('virtualDomains', `[${i}] has the same name as [${first}]: ${name}`);
    }
    seen.set(name, i);
  });
}

/** Labels of up to 63 bytes; the first one may be `*`. */
const domainName = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

function readDomain(r: MessageReader<DnsTable_DnsVirtualDomain>): DnsDomainSpec {
  const name = r.take('name').toLowerCase().replace(/\.$/, '');
  if (name.length > 253 || !domainName.test(name)) throw r.invalid('name', `malformed name: ${name}`);
  const ttlMs = r.durationMs('answerTtl');
  return {
    name,
    ttlS: ttlMs === undefined ? defaultTtlS : Math.floor(ttlMs / 1000),
    addresses: r.required('endpoint', (e) => {
      const config = e.take('endpointConfig');
      if (config.case !== 'addressList') {
        throw e.unsupported(config.case ?? 'endpointConfig', 'only address_list is implemented');
      }
      return e.within('addressList', config.value, (l) =>
        l.take('address').map((ip, i) => {
          if (!isIP(ip)) throw l.invalid('address', `[${i}]: malformed IP address: ${ip}`);
          return canonicalIp(ip);
        }),
      );
    }),
  };
}

function readClient(r: MessageReader<DnsFilterConfig_ClientContextConfig>): Omit<DnsForwardSpec, 'retries'> {
  return {
    resolvers: r.inside('typedDnsResolverConfig', readResolver) ?? null,
    timeoutMs: r.durationMs('resolverTimeout') ?? defaults.timeoutMs,
    maxPending: Number(r.take('maxPendingLookups')) || defaults.maxPending,
  };
}

/** null: those of the system. */
function readResolver(r: MessageReader<TypedExtensionConfig>): readonly AddressSpec[] | null {
  const any = r.take('typedConfig');
  if (any === undefined) throw r.invalid('typedConfig', 'is required');
  return r.extension('typedConfig', any, [
    extension<CaresDnsResolverConfig, readonly AddressSpec[] | null>(
      'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
      (c) => {
        const resolvers = c.each('resolvers', readResolverAddress);
        c.only('useResolversAsFallback', false);
        c.only('filterUnroutableFamilies', false);
        return resolvers.length === 0 ? null : resolvers;
      },
    ),
  ]);
}

function readResolverAddress(r: MessageReader<Address>): AddressSpec {
  const address = r.take('address');
  if (address.case !== 'socketAddress') throw r.unsupported(address.case ?? 'address');
  return r.within(address.case, address.value, (s) => {
    s.take('protocol'); // over which protocol is the client's choice
    const port = s.take('portSpecifier');
    if (port.case === 'namedPort') throw s.unsupported('namedPort');
    const ip = s.take('address');
    if (!isIP(ip)) throw s.invalid('address', `malformed IP address: ${ip}`);
    return { ip: canonicalIp(ip), port: port.value ?? 0 };
  });
}
