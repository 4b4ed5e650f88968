/** Where a CA keeps its state. One contract suite (store-contract.ts) holds for every implementation. */
import type { CaState } from './ca-state.ts';

export interface StoredState {
  readonly state: CaState;
  /** Names this version of the state; another replica's change gives another. */
  readonly revision: string;
}

export interface CaStore {
  /** The newest state, or undefined when there is none yet. Rejects when it cannot be read. */
  load(): Promise<StoredState | undefined>;
  /** False when there was a state already: the other replica's stands, load it. */
  create(state: CaState): Promise<boolean>;
  /** False when the state is no longer the one of that revision: load, decide again. */
  replace(state: CaState, revision: string): Promise<boolean>;
}
