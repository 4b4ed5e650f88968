/** @chainmail/certs: the CA as a library, for tests and for assembling it with another store or attestor. */
export type { Attestation, Attestor, BoundObject, Caller } from './attestor.ts';
export { CertificateAuthority } from './authority.ts';
export type { CaState, RootSlot } from './ca-state.ts';
export { FolderStore } from './folder-store.ts';
export { JwksAttestor, type JwksAttestorOptions } from './jwks-attestor.ts';
export { MemoryStore } from './memory-store.ts';
export { type CaOptions, type RunningCa, startCa } from './serve.ts';
export type { CaStore, StoredState } from './store.ts';
