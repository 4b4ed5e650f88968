/** An enum; its values are read when they are asked for. */
import type { DescEnum, DescEnumValue } from '@bufbuild/protobuf';
import { safeObjectProperty } from '@bufbuild/protobuf/reflect';
import type { EnumDescriptorProto, EnumValueDescriptorProto } from '@bufbuild/protobuf/wkt';
import { edition } from './constants.ts';
import type { DescriptorSet } from './descriptor-set.ts';
import type { FileDescriptor } from './file-descriptor.ts';
import type { MessageDescriptor } from './message-descriptor.ts';
import { eachField, isSet, nameIn } from './wire.ts';

/** Field numbers of EnumDescriptorProto and EnumValueDescriptorProto. */
const at = { value: 2, options: 3 } as const;
const valueAt = { name: 1, number: 2, options: 3 } as const;
const deprecatedEnum = 3;
const deprecatedValue = 1;

interface Values {
  readonly list: DescEnumValue[];
  readonly byNumber: Record<number, DescEnumValue>;
  readonly sharedPrefix: string | undefined;
  readonly deprecated: boolean;
}

interface RawValue {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly number: number;
  readonly options: Uint8Array | undefined;
}

export class EnumDescriptor implements DescEnum {
  readonly kind = 'enum';
  readonly name: string;
  readonly typeName: string;
  readonly file: FileDescriptor;
  readonly parent: MessageDescriptor | undefined;
  readonly open: boolean;
  readonly #set: DescriptorSet;
  readonly #bytes: Uint8Array;
  #values: Values | undefined;

  /** @param bytes an EnumDescriptorProto */
  constructor(set: DescriptorSet, file: FileDescriptor, parent: MessageDescriptor | undefined, bytes: Uint8Array) {
    this.#set = set;
    this.#bytes = bytes;
    this.file = file;
    this.parent = parent;
    this.name = nameIn(bytes);
    this.typeName = file.fullName(parent, this.name);
    this.open = file.edition === edition.proto3;
  }

  get deprecated(): boolean {
    return this.#read().deprecated;
  }

  get values(): DescEnumValue[] {
    return this.#read().list;
  }

  get value(): Record<number, DescEnumValue> {
    return this.#read().byNumber;
  }

  get sharedPrefix(): string | undefined {
    return this.#read().sharedPrefix;
  }

  get proto(): EnumDescriptorProto {
    return this.#set.decode<EnumDescriptorProto>('google.protobuf.EnumDescriptorProto', this.#bytes);
  }

  #read(): Values {
    this.#values ??= this.#readValues();
    return this.#values;
  }

  #readValues(): Values {
    const raw: RawValue[] = [];
    let options: Uint8Array | undefined;
    eachField(this.#bytes, (number, reader) => {
      if (number === at.value) raw.push(readValue(reader.bytes()));
      else if (number === at.options) options = reader.bytes();
      else return false;
      return true;
    });
    const sharedPrefix = sharedPrefixOf(this.name, raw);
    const list = raw.map((value) => this.#valueOf(value, sharedPrefix?.length ?? 0));
    const byNumber: Record<number, DescEnumValue> = {};
    // Of names for one number the first is the one that is shown.
    for (const value of list) byNumber[value.number] ??= value;
    return { list, byNumber, sharedPrefix, deprecated: isSet(options, deprecatedEnum) };
  }

  #valueOf({ bytes, name, number, options }: RawValue, prefix: number): DescEnumValue {
    const set = this.#set;
    return {
      kind: 'enum_value',
      name,
      localName: safeObjectProperty(name.slice(prefix)),
      parent: this,
      number,
      jsonName: name,
      deprecated: isSet(options, deprecatedValue),
      get proto() {
        return set.decode<EnumValueDescriptorProto>('google.protobuf.EnumValueDescriptorProto', bytes);
      },
      toString: () => `enum value ${this.typeName}.${name}`,
    };
  }

  toString(): string {
    return `enum ${this.typeName}`;
  }
}

function readValue(bytes: Uint8Array): RawValue {
  let name = '';
  let value = 0;
  let options: Uint8Array | undefined;
  eachField(bytes, (number, reader) => {
    if (number === valueAt.name) name = reader.string();
    else if (number === valueAt.number) value = reader.int32();
    else if (number === valueAt.options) options = reader.bytes();
    else return false;
    return true;
  });
  return { bytes, name, number: value, options };
}

/** `my_enum_` of MyEnum where every name begins with it and goes on with what can be a name. */
function sharedPrefixOf(enumName: string, values: readonly RawValue[]): string | undefined {
  const snake = enumName.slice(0, 1) + enumName.slice(1).replace(/[A-Z]/g, (letter) => `_${letter}`);
  const prefix = `${snake.toLowerCase()}_`;
  const isShared = ({ name }: RawValue): boolean =>
    name.toLowerCase().startsWith(prefix) && /^[^0-9]/.test(name.slice(prefix.length));
  return values.every(isShared) ? prefix : undefined;
}
