/** Listener `dns`: Envoy's dns_filter with the names of the mesh; all others go to the pod's own resolvers. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ports, xdsNames } from '@chainmail/runtime';
import { SocketAddress_Protocol } from '@chainmail/xds/proto/envoy/config/core/v3/address';
import { type Listener, ListenerSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import { type DnsTable_DnsVirtualDomainSchema, DnsTableSchema } from '@chainmail/xds/proto/envoy/data/dns/v3/dns_table';
import { DnsFilterConfigSchema } from '@chainmail/xds/proto/envoy/extensions/filters/udp/dns_filter/v3/dns_filter';
import type { DnsModel, DnsName } from '../translate/dns-model.ts';
import type { Address } from './address.ts';
import { duration, pack } from './any.ts';

/** The shortest that Envoy's API allows. */
const ttlMs = 30_000;
const resolverTimeoutMs = 2_000;
const retries = 1;
const maxPending = 256;

const udpAddress = (address: string): Address => ({
  address: {
    case: 'socketAddress',
    value: {
      protocol: SocketAddress_Protocol.UDP,
      address,
      portSpecifier: { case: 'portValue', value: ports.agentDns },
    },
  },
});

const virtualDomain = ({ name, addresses }: DnsName): MessageInitShape<typeof DnsTable_DnsVirtualDomainSchema> => ({
  name,
  answerTtl: duration(ttlMs),
  endpoint: { endpointConfig: { case: 'addressList', value: { address: [...addresses] } } },
});

export function dnsListener(model: DnsModel): Listener {
  const table = create(DnsTableSchema, {
    externalRetryCount: retries,
    virtualDomains: model.names.map(virtualDomain),
  });
  const filter = pack(DnsFilterConfigSchema, {
    statPrefix: xdsNames.dnsListener,
    serverConfig: { configSource: { case: 'inlineDnsTable', value: table } },
    clientConfig: { resolverTimeout: duration(resolverTimeoutMs), maxPendingLookups: BigInt(maxPending) },
  });
  return create(ListenerSchema, {
    name: xdsNames.dnsListener,
    address: udpAddress('127.0.0.1'),
    additionalAddresses: [{ address: udpAddress('::1') }],
    listenerFilters: [{ name: 'envoy.filters.udp.dns_filter', configType: { case: 'typedConfig', value: filter } }],
  });
}
