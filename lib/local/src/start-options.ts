/** How a local cluster is asked for. */
import type { MeshOptions } from './control-plane.ts';

export interface StartOptions {
  readonly name: string;
  /** Absolute paths of folders with YAML. */
  readonly dirs: readonly string[];
  readonly mesh: MeshOptions | undefined;
  readonly clusterDomain: string;
  readonly verbose: boolean;
}
