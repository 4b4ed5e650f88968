/** A field; the message or enum that it is of is looked up when it is asked for. */
import type { DescEnum, DescField, DescMessage, DescOneof, ScalarType, SupportedEdition } from '@bufbuild/protobuf';
import { protoCamelCase, safeObjectProperty } from '@bufbuild/protobuf/reflect';
import { parseTextFormatEnumValue, parseTextFormatScalarValue } from '@bufbuild/protobuf/wire';
import type { FieldDescriptorProto } from '@bufbuild/protobuf/wkt';
import { edition, label, presence, type } from './constants.ts';
import type { DescriptorSet } from './descriptor-set.ts';
import type { FieldProto } from './field-proto.ts';
import type { MessageDescriptor } from './message-descriptor.ts';
import type { WithOptions } from './with-options.ts';

type Kind = 'scalar' | 'message' | 'enum';

export const kindOf = ({ type: of }: FieldProto): Kind =>
  of === type.message || of === type.group ? 'message' : of === type.enum ? 'enum' : 'scalar';

/** Whether the field can say that it is not set. */
export function presenceOf(proto: FieldProto, inOneof: boolean, of: SupportedEdition): DescField['presence'] {
  if (proto.label === label.required) return presence.legacyRequired;
  if (proto.label === label.repeated) return presence.implicit;
  const implicit = of === edition.proto3 && !inOneof && !proto.proto3Optional && kindOf(proto) !== 'message';
  return implicit ? presence.implicit : presence.explicit;
}

/** Whether the numbers of a list lie in one piece. */
export function isPacked(proto: FieldProto, of: SupportedEdition): boolean {
  const cannot = kindOf(proto) === 'message' || proto.type === type.string || proto.type === type.bytes;
  return !cannot && (proto.packed ?? of === edition.proto3);
}

/** The protobuf default of a field that has one of its own (proto2). */
export function defaultOf(proto: FieldProto, ofEnum: DescEnum | undefined): unknown {
  if (proto.defaultValue === undefined || kindOf(proto) === 'message') return undefined;
  if (ofEnum !== undefined) return parseTextFormatEnumValue(ofEnum, proto.defaultValue);
  return parseTextFormatScalarValue(proto.type as ScalarType, proto.defaultValue);
}

/** Has all that the members of the union DescField have; which of it counts says fieldKind. */
export class FieldDescriptor implements WithOptions {
  readonly kind = 'field';
  readonly name: string;
  readonly number: number;
  readonly localName: string;
  readonly jsonName: string;
  readonly deprecated: boolean;
  readonly parent: MessageDescriptor;
  readonly oneof: DescOneof | undefined;
  readonly presence: DescField['presence'];
  readonly utf8Validation: boolean;
  readonly fieldKind: 'scalar' | 'message' | 'enum' | 'list' | 'map';
  readonly listKind: Kind | undefined;
  readonly mapKind: Kind | undefined;
  readonly mapKey: ScalarType | undefined;
  readonly scalar: ScalarType | undefined;
  readonly longAsString: boolean;
  readonly packed: boolean | undefined;
  readonly delimitedEncoding: boolean | undefined;
  readonly #set: DescriptorSet;
  readonly #proto: FieldProto;
  /** Of a map, what its values are. */
  readonly #value: DescField | undefined;
  #message: DescMessage | undefined;
  #enum: DescEnum | undefined;

  constructor(set: DescriptorSet, parent: MessageDescriptor, oneof: DescOneof | undefined, proto: FieldProto) {
    const { name, label: howMany, type: of } = proto;
    const camelCase = name.includes('_') ? protoCamelCase(name) : name;
    const kind = kindOf(proto);
    const entry = howMany === label.repeated && kind === 'message' ? parent.mapEntry(proto.typeName) : undefined;
    const isList = howMany === label.repeated && entry === undefined;
    const value = entry?.fields[1];
    this.#set = set;
    this.#proto = proto;
    this.#value = value;
    this.name = name;
    this.number = proto.number;
    this.localName = oneof === undefined ? safeObjectProperty(camelCase) : camelCase;
    // Left out where it is the one that the name gives.
    this.jsonName = proto.jsonName || camelCase;
    this.deprecated = proto.deprecated;
    this.parent = parent;
    this.oneof = oneof;
    this.presence = presenceOf(proto, oneof !== undefined, parent.file.edition);
    this.utf8Validation = parent.file.edition === edition.proto3;
    this.fieldKind = entry !== undefined ? 'map' : isList ? 'list' : kind;
    this.listKind = isList ? kind : undefined;
    this.mapKind = value?.fieldKind as Kind | undefined;
    this.mapKey = entry?.fields[0]?.scalar;
    this.scalar = entry !== undefined ? value?.scalar : kind === 'scalar' ? (of as number as ScalarType) : undefined;
    this.longAsString = kind === 'scalar' && proto.longAsString;
    this.packed = isList ? isPacked(proto, parent.file.edition) : undefined;
    this.delimitedEncoding = kind === 'message' ? of === type.group : undefined;
  }

  get message(): DescMessage | undefined {
    if (this.#value !== undefined) return this.#value.message;
    if (this.#message === undefined && kindOf(this.#proto) === 'message') {
      this.#message = this.#set.message(this.#proto.typeName);
    }
    return this.#message;
  }

  get enum(): DescEnum | undefined {
    if (this.#value !== undefined) return this.#value.enum;
    if (this.#enum === undefined && kindOf(this.#proto) === 'enum') this.#enum = this.#set.enum(this.#proto.typeName);
    return this.#enum;
  }

  get optionBytes(): Uint8Array | undefined {
    return this.#proto.options;
  }

  get proto(): FieldDescriptorProto {
    return this.#set.decode<FieldDescriptorProto>('google.protobuf.FieldDescriptorProto', this.#proto.bytes);
  }

  /** Lists and maps have none, which the library takes for a missing function. */
  get getDefaultValue(): (() => unknown) | undefined {
    if (this.fieldKind === 'list' || this.fieldKind === 'map') return undefined;
    return () => defaultOf(this.#proto, this.enum);
  }

  toString(): string {
    return `field ${this.parent.typeName}.${this.name}`;
  }
}
