/**
 * Mutual TLS 1.3 between agents. Key, certificate and trust bundle come over SDS from the agent itself, never from
 * here; no session is resumed, since a resumed one would outlive the certificate it was made with.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { xdsNames } from '@chainmail/runtime';
import type { TransportSocketSchema } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ConfigSourceSchema,
} from '@chainmail/xds/proto/envoy/config/core/v3/config_source';
import {
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol,
} from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/common';
import type { SdsSecretConfigSchema } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/secret';
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/tls';
import { pack } from './any.ts';

type TransportSocket = MessageInitShape<typeof TransportSocketSchema>;
type ConfigSource = MessageInitShape<typeof ConfigSourceSchema>;
type SdsSecret = MessageInitShape<typeof SdsSecretConfigSchema>;

/** From the stream that brought the resource which refers to another. */
export const fromAds: ConfigSource = {
  resourceApiVersion: ApiVersion.V3,
  configSourceSpecifier: { case: 'ads', value: {} },
};

const fromAgent: ConfigSource = {
  resourceApiVersion: ApiVersion.V3,
  configSourceSpecifier: {
    case: 'apiConfigSource',
    value: {
      apiType: ApiConfigSource_ApiType.GRPC,
      transportApiVersion: ApiVersion.V3,
      grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: xdsNames.identityCluster } } }],
    },
  },
};

const secret = (name: string): SdsSecret => ({ name, sdsConfig: fromAgent });

const common = {
  tlsParams: {
    tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
  },
  tlsCertificateSdsSecretConfigs: [secret(xdsNames.ownCertificateSecret)],
};

const socket = (value: ReturnType<typeof pack>): TransportSocket => ({
  name: 'envoy.transport_sockets.tls',
  configType: { case: 'typedConfig', value },
});

/** Asks for a client certificate of the mesh. Where no ALPN is agreed on, the codec looks at the bytes. */
const downstream = (alpnProtocols: readonly string[]): TransportSocket =>
  socket(
    pack(DownstreamTlsContextSchema, {
      requireClientCertificate: true,
      sessionTicketKeysType: { case: 'disableStatelessSessionResumption', value: true },
      disableStatefulSessionResumption: true,
      commonTlsContext: {
        ...common,
        alpnProtocols: [...alpnProtocols],
        validationContextType: {
          case: 'validationContextSdsSecretConfig',
          value: secret(xdsNames.trustBundleSecret),
        },
      },
    }),
  );

export const downstreamTls: TransportSocket = downstream([]);

/** Offers HTTP/2, so that whatever HTTP the callers speak rides one connection. */
export const multiplexedDownstreamTls: TransportSocket = downstream(['h2', 'http/1.1']);

/** Accepts exactly one server: the one with this SPIFFE ID. alpn: what is offered besides the mark of the mesh. */
export function upstreamTls(spiffeId: string, alpn: readonly string[] = []): TransportSocket {
  const san = {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: { case: 'exact', value: spiffeId } },
  } as const;
  return socket(
    pack(UpstreamTlsContextSchema, {
      maxSessionKeys: 0,
      commonTlsContext: {
        ...common,
        alpnProtocols: [xdsNames.meshAlpn, ...alpn],
        validationContextType: {
          case: 'combinedValidationContext',
          value: {
            defaultValidationContext: { matchTypedSubjectAltNames: [san] },
            validationContextSdsSecretConfig: secret(xdsNames.trustBundleSecret),
          },
        },
      },
    }),
  );
}
