/** Container images as OCI layouts, made without Docker. */
export { type Architecture, architectures, hostArchitecture } from './architecture.ts';
export { nodePath, skeleton } from './base-layers.ts';
export { addPrograms, type DebianRoot, debianRoot } from './debian.ts';
export { type Base, baseOf, defaultRegistry, layersHome, meshImages, meshVersion } from './definitions.ts';
export { FileTree } from './file-tree.ts';
export { type Layer, writeLayer } from './layer.ts';
export { type Descriptor, type Image, layoutArchive, type Runs, writeLayout } from './layout.ts';
export { openWorkshop, type Workshop } from './workshop.ts';
