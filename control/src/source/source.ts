/** Where objects come from. A source calls back with everything it has, and again after each change. */
import { type Loaded, type Watch, watchObjects } from '@chainmail/kube';

export interface Source {
  /**
   * The first call back has the whole state: at once from folders, from an API server when every kind has been listed.
   * Objects that did not change are the same ones in the next call.
   */
  start(onChange: (loaded: Loaded) => void): Watch;
}

/** Folders of YAML or JSON; where an object stands in several, see the store. */
export function fileSource(dirs: readonly string[]): Source {
  return { start: (onChange) => watchObjects(dirs, onChange, { settleMs: 20, pollMs: 200 }) };
}
