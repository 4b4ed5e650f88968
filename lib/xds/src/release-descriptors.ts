/** Lets go of what a process needs only while it reads configuration: 10 MB that are built again when they are missed. */
import { releaseRegistry } from '../gen/set.js';
import { forgetUnpacked } from './any.ts';

export function releaseDescriptors(): void {
  forgetUnpacked();
  releaseRegistry();
}
