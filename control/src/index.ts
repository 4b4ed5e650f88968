/** @chainmail/control: objects in, xDS out. */
export { buildWorld } from './model/build-world.ts';
export type { World } from './model/world.ts';
export { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './serve/control-plane.ts';
export { fileSource, type Source } from './source/source.ts';
