/** @chainmail/xds/rpc: what a gRPC client needs that is not grpc-js: SPIFFE over TLS and the CSR service. */
export { type CallUnary, type CaSignerOptions, createCsrSigner, csrPath, type UnaryCall } from './csr-signer.ts';
export { type ClientTls, type SpiffeChannelOptions, spiffeConnection } from './spiffe-tls.ts';
