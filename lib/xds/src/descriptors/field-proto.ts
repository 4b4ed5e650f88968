/** What a FieldDescriptorProto says of a field or an extension, read without a descriptor. */
import { label, type } from './constants.ts';
import { eachField, isSet, optionIn } from './wire.ts';

/** Field numbers of FieldDescriptorProto. */
const at = {
  name: 1,
  extendee: 2,
  number: 3,
  label: 4,
  type: 5,
  typeName: 6,
  defaultValue: 7,
  options: 8,
  oneofIndex: 9,
  jsonName: 10,
  proto3Optional: 17,
} as const;
/** Field numbers of FieldOptions. */
const packedField = 2;
const deprecatedField = 3;
const jsType = 6;
const jsString = 1;

export interface FieldProto {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly number: number;
  readonly label: number;
  readonly type: number;
  /** Of the message or enum, without the leading dot; '' for scalars. */
  readonly typeName: string;
  readonly extendee: string;
  readonly jsonName: string;
  readonly defaultValue: string | undefined;
  /** -1 outside of any. */
  readonly oneofIndex: number;
  readonly proto3Optional: boolean;
  /** As the file says it, if it does. */
  readonly packed: boolean | undefined;
  readonly longAsString: boolean;
  readonly deprecated: boolean;
  /** FieldOptions. */
  readonly options: Uint8Array | undefined;
}

const withoutDot = (name: string): string => (name.startsWith('.') ? name.slice(1) : name);

/** @param bytes a FieldDescriptorProto */
export function readFieldProto(bytes: Uint8Array): FieldProto {
  const text: Record<number, string | undefined> = {};
  const numbers: Record<number, number | undefined> = {};
  let options: Uint8Array | undefined;
  eachField(bytes, (number, reader) => {
    switch (number) {
      case at.name:
      case at.extendee:
      case at.typeName:
      case at.defaultValue:
      case at.jsonName:
        text[number] = reader.string();
        return true;
      case at.number:
      case at.label:
      case at.type:
      case at.oneofIndex:
      case at.proto3Optional:
        numbers[number] = reader.int32();
        return true;
      case at.options:
        options = reader.bytes();
        return true;
      default:
        return false;
    }
  });
  const packed = optionIn(options, packedField);
  return {
    bytes,
    name: text[at.name] ?? '',
    number: numbers[at.number] ?? 0,
    label: numbers[at.label] ?? label.optional,
    type: numbers[at.type] ?? type.double,
    typeName: withoutDot(text[at.typeName] ?? ''),
    extendee: withoutDot(text[at.extendee] ?? ''),
    jsonName: text[at.jsonName] ?? '',
    defaultValue: text[at.defaultValue],
    oneofIndex: numbers[at.oneofIndex] ?? -1,
    proto3Optional: numbers[at.proto3Optional] === 1,
    packed: packed === undefined ? undefined : packed === 1,
    longAsString: optionIn(options, jsType) === jsString,
    deprecated: isSet(options, deprecatedField),
    options,
  };
}
