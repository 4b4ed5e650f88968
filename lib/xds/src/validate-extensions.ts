/**
 * The options of protoc-gen-validate, as they stand in the shared descriptor set: read from the bytes, because most fields
 * have none, and a library's reading of a descriptor begins with descriptors of descriptors.
 */
import { type DescField, type DescMessage, type DescOneof, fromBinary } from '@bufbuild/protobuf';
import type { FieldRules } from '@chainmail/xds/proto/validate/validate';
import { isSet, messageIn } from './descriptors/wire.ts';
import type { WithOptions } from './descriptors/with-options.ts';
import { messageNamed } from './registry.ts';

/** validate.rules of FieldOptions, validate.disabled of MessageOptions and validate.required of OneofOptions. */
const extension = 1071;

/** @throws Error for a descriptor that is not the registry's: its rules would go unseen */
function optionsOf(desc: DescField | DescMessage | DescOneof): Uint8Array | undefined {
  if (!hasOptions(desc)) throw new Error(`${desc} is no descriptor of the registry`);
  return desc.optionBytes;
}

function hasOptions(desc: object): desc is WithOptions {
  return 'optionBytes' in desc;
}

export function isDisabled(desc: DescMessage): boolean {
  return isSet(optionsOf(desc), extension);
}

export function isOneRequired(desc: DescOneof): boolean {
  return isSet(optionsOf(desc), extension);
}

/** undefined where the field has none. */
export function rulesOf(desc: DescField): FieldRules | undefined {
  const options = optionsOf(desc);
  const rules = options === undefined ? undefined : messageIn(options, extension);
  return rules === undefined ? undefined : (fromBinary(messageNamed('validate.FieldRules'), rules) as FieldRules);
}
