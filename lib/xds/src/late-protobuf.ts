/**
 * What of protobuf-es only reading and showing configuration needs: JSON. In a bundle a file of its own, which registry.ts
 * loads and lets go of: it brings descriptors of its own along.
 */
export { fromJson, toJson } from '@bufbuild/protobuf';
