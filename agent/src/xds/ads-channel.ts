/**
 * The ADS stream over grpc-js. Each attempt is a connection of its own, so that it presents the certificate of now;
 * the waiting between attempts is the client's. Loaded only where a control plane is configured.
 */
import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { registry } from '@chainmail/xds/registry';
import { type ChannelCredentials, type ChannelOptions, Client } from '@grpc/grpc-js';
import type { OpenAdsStream } from './ads-client.ts';

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** A snapshot of 10,000 endpoints is 1.5 MB. */
const maxMessageBytes = 64 * 1024 * 1024;

export interface AdsChannelOptions {
  /** host:port, tried in turn. */
  readonly addresses: readonly string[];
  /** Made anew for each attempt. May throw: the attempt fails with the message. */
  readonly credentials: () => ChannelCredentials;
  readonly channel: ChannelOptions;
}

/** Notices a server that is gone without a word, and keeps a NAT's entry alive. */
const keepalive: ChannelOptions = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': -1,
};

export function adsChannel(options: AdsChannelOptions): OpenAdsStream {
  const encode = encoder('envoy.service.discovery.v3.DeltaDiscoveryRequest');
  const decode = decoder('envoy.service.discovery.v3.DeltaDiscoveryResponse');
  let attempt = 0;
  return (events) => {
    const address = options.addresses[attempt++ % options.addresses.length] ?? '';
    const client = new Client(address, options.credentials(), { ...keepalive, ...options.channel });
    const call = client.makeBidiStreamRequest<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(path, encode, decode);
    let closed = false;
    const close = (reason: string): void => {
      if (closed) return;
      closed = true;
      client.close();
      events.onClosed(reason);
    };
    call.on('data', (response: DeltaDiscoveryResponse) => events.onResponse(response));
    call.on('error', (error: Error) => close(`${address}: ${error.message}`));
    call.on('end', () => close(`${address}: the server ended the stream`));
    return {
      send: (request) => {
        if (!closed) call.write(request);
      },
      end: () => {
        closed = true;
        call.cancel();
        client.close();
      },
    };
  };
}

function encoder(typeName: string): (message: DeltaDiscoveryRequest) => Buffer {
  return (message) => Buffer.from(toBinary(schemaOf(typeName), message));
}

function decoder(typeName: string): (bytes: Buffer) => DeltaDiscoveryResponse {
  return (bytes) => fromBinary(schemaOf(typeName), bytes) as DeltaDiscoveryResponse;
}

/** Asked for each message: whoever keeps a descriptor keeps all of them. */
function schemaOf(typeName: string): DescMessage {
  const schema = registry.getMessage(typeName);
  if (schema === undefined) throw new Error(`no descriptor of ${typeName}`);
  return schema;
}
