/** @chainmail/xds/contracts: suites that every implementation of an interface of this package runs; for tests only. */
export { csrSignerContract } from './csr-signer-contract.ts';
export { type OpenRpcClient, type RpcClient, spiffeClientContract } from './spiffe-client-contract.ts';
