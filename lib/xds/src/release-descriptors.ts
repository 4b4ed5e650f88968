/** Lets go of what a process needs only while it reads configuration: 10 MB that are built again when they are missed. */

import { forgetUnpacked } from './any.ts';
import { registryIsBuilt, releaseRegistry } from './registry.ts';

export function releaseDescriptors(): void {
  forgetUnpacked();
  releaseRegistry();
}

/** Whether there is something to release. */
export function holdsDescriptors(): boolean {
  return registryIsBuilt();
}
