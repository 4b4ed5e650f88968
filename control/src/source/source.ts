/** Where objects come from. A source calls back with everything it has, at once and after each change. */
import { type Loaded, type Watch, watchObjects } from '@chainmail/kube';

export interface Source {
  /** The first call back comes before this returns. */
  start(onChange: (loaded: Loaded) => void): Watch;
}

/** Folders of YAML or JSON; where an object stands in several, see the store. */
export function fileSource(dirs: readonly string[]): Source {
  return { start: (onChange) => watchObjects(dirs, onChange, { settleMs: 20, pollMs: 200 }) };
}
