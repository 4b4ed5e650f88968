/**
 * The ADS stream over the agent's own gRPC client. Each attempt is a connection of its own, so that it presents the
 * certificate of now; the waiting between attempts is the client's. Loaded only where a control plane is configured.
 */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { messageOf } from '@chainmail/runtime';
import type { DeltaDiscoveryResponse } from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { messageNamed } from '@chainmail/xds/registry';
import type { GrpcEndpoint } from '../grpc/connect.ts';
import { GrpcConnection } from '../grpc/connection.ts';
import type { OpenAdsStream } from './ads-client.ts';

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** A snapshot of 10,000 endpoints is 1.5 MB. */
const maxMessageBytes = 64 * 1024 * 1024;

export interface AdsChannelOptions extends Omit<GrpcEndpoint, 'address'> {
  /** host:port, tried in turn. */
  readonly addresses: readonly string[];
}

/** Notices a server that is gone without a word, and keeps a NAT's entry alive. */
const keepalive = { intervalMs: 30_000, timeoutMs: 10_000 };

export function adsChannel(options: AdsChannelOptions): OpenAdsStream {
  let attempt = 0;
  return (events) => {
    const address = options.addresses[attempt++ % options.addresses.length] ?? '';
    const connection = new GrpcConnection({ ...options, address }, { maxMessageBytes, keepalive });
    let closed = false;
    const close = (reason: string): void => {
      if (closed) return;
      closed = true;
      connection.close();
      events.onClosed(`${address}: ${reason}`);
    };
    const call = connection.call(
      { path },
      {
        onMessage: (bytes) => {
          const response = decoded(bytes);
          if (typeof response === 'string') close(response);
          else if (!closed) events.onResponse(response);
        },
        onClosed: (failure) => close(failure?.message ?? 'the server ended the stream'),
      },
    );
    return {
      send: (request) => {
        if (!closed) call.send(toBinary(messageNamed('envoy.service.discovery.v3.DeltaDiscoveryRequest'), request));
      },
      end: () => {
        closed = true;
        connection.close();
      },
    };
  };
}

/** The response, or why it is none. */
function decoded(bytes: Uint8Array): DeltaDiscoveryResponse | string {
  try {
    return fromBinary(
      messageNamed('envoy.service.discovery.v3.DeltaDiscoveryResponse'),
      bytes,
    ) as DeltaDiscoveryResponse;
  } catch (error) {
    return `the server sent what is no DeltaDiscoveryResponse: ${messageOf(error)}`;
  }
}
