/** Where images are made: the sources, the cache that outlives a clone, and somebody to tell. */
import os from 'node:os';
import path from 'node:path';

export interface Workshop {
  /** The repository. */
  readonly root: string;
  /** Packages, binaries and layers by content. */
  readonly home: string;
  readonly say: (text: string) => void;
}

export function openWorkshop(say: (text: string) => void): Workshop {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return { root: path.resolve(import.meta.dirname, '../..'), home: path.join(cache, 'chainmail/images'), say };
}
