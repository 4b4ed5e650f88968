/**
 * What of protobuf-es only reading and showing configuration needs: JSON, and what descriptor sets are read with. In a
 * bundle a file of its own, which registry.ts loads and lets go of: both bring descriptors of their own along.
 */
export { fromJson, toJson } from '@bufbuild/protobuf';
export { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
