/** The options of protoc-gen-validate, as they stand in the shared descriptor set. */
import {
  type DescExtension,
  type Extendee,
  type ExtensionValueShape,
  getExtension,
  hasExtension,
} from '@bufbuild/protobuf';
import type { disabled, required, rules } from '../gen/validate/validate_pb.js';
import { extensionNamed } from './registry.ts';

/** The value of an option, undefined where it is not set. */
function option<E extends DescExtension>(name: E['typeName']) {
  return (options: Extendee<E> | undefined): ExtensionValueShape<E> | undefined => {
    if (options === undefined) return undefined;
    const extension = extensionNamed<E>(name);
    return hasExtension(options, extension) ? getExtension(options, extension) : undefined;
  };
}

export const disabledOf = option<typeof disabled>('validate.disabled');
export const requiredOf = option<typeof required>('validate.required');
export const rulesOf = option<typeof rules>('validate.rules');
