/** @chainmail/xds/rpc: what a gRPC client needs that is not grpc-js: SPIFFE over TLS, the CSR service, status codes. */
export { type CallUnary, type CaSignerOptions, createCsrSigner, csrPath, type UnaryCall } from './csr-signer.ts';
export { RpcFailure, rpcStatus, rpcStatusName } from './rpc-status.ts';
export { type SpiffeChannelOptions, type SpiffeConnection, spiffeConnection } from './spiffe-tls.ts';
