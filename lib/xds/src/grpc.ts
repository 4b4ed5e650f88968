/** @chainmail/xds/grpc: grpc-js with generated services, SPIFFE credentials and the CA as a signer. */
export { type BundleFileOptions, followBundleFile } from './bundle-file.ts';
export { createCaSigner } from './ca-signer.ts';
export type { CaSignerOptions } from './csr-signer.ts';
export { type ServiceMethods, serviceDefinition } from './service-definition.ts';
export {
  meshChannelOptions,
  peerSvid,
  type SpiffeServerOptions,
  spiffeChannelCredentials,
  spiffeServerCredentials,
} from './spiffe-credentials.ts';
export type { SpiffeChannelOptions } from './spiffe-tls.ts';
