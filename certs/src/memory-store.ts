/** A CA state that lives as long as the process, for tests. */
import type { CaState } from './ca-state.ts';
import type { CaStore, StoredState } from './store.ts';

export class MemoryStore implements CaStore {
  #state: CaState | undefined;
  #revision = 0;

  load(): Promise<StoredState | undefined> {
    const state = this.#state;
    return Promise.resolve(state === undefined ? undefined : { state, revision: String(this.#revision) });
  }

  create(state: CaState): Promise<boolean> {
    if (this.#state !== undefined) return Promise.resolve(false);
    return Promise.resolve(this.#set(state));
  }

  replace(state: CaState, revision: string): Promise<boolean> {
    if (this.#state === undefined || revision !== String(this.#revision)) return Promise.resolve(false);
    return Promise.resolve(this.#set(state));
  }

  #set(state: CaState): boolean {
    this.#state = state;
    this.#revision++;
    return true;
  }
}
