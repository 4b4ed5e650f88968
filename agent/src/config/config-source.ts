/** Where configuration comes from: ADS, or a gRPC service that stands for our own identity. */
import type { ApiConfigSource, ConfigSource } from '@chainmail/xds/proto/envoy/config/core/v3/config_source';
import type { MessageReader } from './message-reader.ts';
import { type PathSource, readPathSource } from './secret-file.ts';

/** Envoy's default of initial_fetch_timeout. */
export const defaultInitialFetchTimeoutMs = 15_000;

/** For LDS, CDS, EDS and RDS: the one ADS stream. Returns the initial fetch timeout in milliseconds, 0 for none. */
export function readAdsSource(r: MessageReader<ConfigSource>): number {
  readVersion(r);
  const source = r.take('configSourceSpecifier');
  if (source.case === undefined) throw r.invalid('configSourceSpecifier', 'is required');
  if (source.case !== 'ads') throw r.unsupported(source.case, 'only ads is implemented as a source');
  r.within('ads', source.value, () => undefined);
  return r.durationMs('initialFetchTimeout') ?? defaultInitialFetchTimeoutMs;
}

export type SecretSource =
  | { readonly kind: 'grpc'; readonly cluster: string }
  | ({ readonly kind: 'path' } & PathSource);

/** For SDS: the cluster of the gRPC service, or a file. */
export function readSecretSource(r: MessageReader<ConfigSource>): SecretSource {
  readVersion(r);
  r.durationMs('initialFetchTimeout');
  const source = r.take('configSourceSpecifier');
  if (source.case === undefined) throw r.invalid('configSourceSpecifier', 'is required');
  if (source.case === 'pathConfigSource') {
    return { kind: 'path', ...r.within('pathConfigSource', source.value, readPathSource) };
  }
  if (source.case !== 'apiConfigSource') throw r.unsupported(source.case);
  return r.within('apiConfigSource', source.value, (a) => {
    a.oneOf('apiType', { GRPC: null, DELTA_GRPC: null });
    return { kind: 'grpc', cluster: readGrpcCluster(a) };
  });
}

/** The cluster of the one gRPC service. */
export function readGrpcCluster(r: MessageReader<ApiConfigSource>): string {
  r.oneOf('transportApiVersion', { V3: null, AUTO: null });
  const services = r.each('grpcServices', (s) => {
    const target = s.take('targetSpecifier');
    if (target.case !== 'envoyGrpc') throw s.unsupported(target.case ?? 'targetSpecifier');
    return s.within('envoyGrpc', target.value, (e) => {
      e.take('maxReceiveMessageLength');
      e.only('skipEnvoyHeaders', false, true);
      return e.take('clusterName');
    });
  });
  const [cluster, ...more] = services;
  if (cluster === undefined || more.length > 0) throw r.invalid('grpcServices', 'must hold exactly one service');
  return cluster;
}

function readVersion(r: MessageReader<ConfigSource>): void {
  r.oneOf('resourceApiVersion', { V3: null, AUTO: null });
}
