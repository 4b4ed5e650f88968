/** Numbers of google/protobuf/descriptor.proto. The library has them in a module that brings all descriptors of it along. */
import type { SupportedEdition } from '@bufbuild/protobuf';

export const edition: Readonly<Record<'proto2' | 'proto3', SupportedEdition>> = { proto2: 998, proto3: 999 };
export const label = { optional: 1, required: 2, repeated: 3 } as const;
/** Those of the types that are told apart; the others are scalars, numbered as ScalarType. */
export const type = { double: 1, string: 9, group: 10, message: 11, bytes: 12, enum: 14 } as const;
/** FeatureSet.FieldPresence */
export const presence = { explicit: 1, implicit: 2, legacyRequired: 3 } as const;
