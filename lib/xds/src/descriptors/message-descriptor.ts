/** A message: what is declared in it is read when it is first looked into, and its fields when they are asked for. */
import type { DescEnum, DescExtension, DescField, DescMessage, DescOneof } from '@bufbuild/protobuf';
import { protoCamelCase, safeObjectProperty } from '@bufbuild/protobuf/reflect';
import type { DescriptorProto, OneofDescriptorProto } from '@bufbuild/protobuf/wkt';
import type { DescriptorSet } from './descriptor-set.ts';
import { EnumDescriptor } from './enum-descriptor.ts';
import { FieldDescriptor } from './field-descriptor.ts';
import { readFieldProto } from './field-proto.ts';
import type { FileDescriptor } from './file-descriptor.ts';
import { eachField, isSet, messageIn, nameIn } from './wire.ts';
import type { WithOptions } from './with-options.ts';

/** Field numbers of DescriptorProto. */
const at = { field: 2, nested: 3, enum: 4, extension: 6, options: 7, oneof: 8 } as const;
const deprecatedMessage = 3;
const mapEntry = 7;
/** Field number of OneofDescriptorProto. */
const oneofOptions = 2;

interface Declarations {
  readonly fields: readonly Uint8Array[];
  readonly oneofs: readonly Uint8Array[];
  readonly messages: MessageDescriptor[];
  /** What is written as map<K, V> in this message. */
  readonly mapEntries: ReadonlyMap<string, MessageDescriptor>;
  readonly enums: EnumDescriptor[];
  readonly options: Uint8Array | undefined;
}

interface Members {
  readonly fields: DescField[];
  readonly field: Record<string, DescField>;
  readonly oneofs: DescOneof[];
  readonly members: (DescField | DescOneof)[];
}

export class MessageDescriptor implements DescMessage, WithOptions {
  readonly kind = 'message';
  readonly name: string;
  readonly typeName: string;
  readonly file: FileDescriptor;
  readonly parent: MessageDescriptor | undefined;
  readonly #set: DescriptorSet;
  readonly #bytes: Uint8Array;
  #declarations: Declarations | undefined;
  #members: Members | undefined;

  /** @param bytes a DescriptorProto */
  constructor(set: DescriptorSet, file: FileDescriptor, parent: MessageDescriptor | undefined, bytes: Uint8Array) {
    this.#set = set;
    this.#bytes = bytes;
    this.file = file;
    this.parent = parent;
    this.name = nameIn(bytes);
    this.typeName = file.fullName(parent, this.name);
  }

  get deprecated(): boolean {
    return isSet(this.#declared().options, deprecatedMessage);
  }

  get fields(): DescField[] {
    return this.#read().fields;
  }

  get field(): Record<string, DescField> {
    return this.#read().field;
  }

  get oneofs(): DescOneof[] {
    return this.#read().oneofs;
  }

  get members(): (DescField | DescOneof)[] {
    return this.#read().members;
  }

  get nestedMessages(): MessageDescriptor[] {
    return this.#declared().messages;
  }

  get nestedEnums(): DescEnum[] {
    return this.#declared().enums;
  }

  /** None: DescriptorSet reads no set that has some. */
  get nestedExtensions(): DescExtension[] {
    return [];
  }

  get optionBytes(): Uint8Array | undefined {
    return this.#declared().options;
  }

  get proto(): DescriptorProto {
    return this.#set.decode<DescriptorProto>('google.protobuf.DescriptorProto', this.#bytes);
  }

  /** The message that a map field's entries are, by its full name. */
  mapEntry(typeName: string): MessageDescriptor | undefined {
    return this.#declared().mapEntries.get(typeName);
  }

  get #isMapEntry(): boolean {
    return isSet(this.#declared().options, mapEntry);
  }

  #declared(): Declarations {
    this.#declarations ??= this.#readDeclarations();
    return this.#declarations;
  }

  #readDeclarations(): Declarations {
    const found: Record<number, Uint8Array[]> = {
      [at.field]: [],
      [at.nested]: [],
      [at.enum]: [],
      [at.options]: [],
      [at.oneof]: [],
    };
    eachField(this.#bytes, (number, reader) => {
      if (number === at.extension) throw new Error(`${this.typeName}: extensions in a message are not read`);
      const list = found[number];
      list?.push(reader.bytes());
      return list !== undefined;
    });
    const nested = (found[at.nested] ?? []).map((b) => new MessageDescriptor(this.#set, this.file, this, b));
    const entries = nested.filter((m) => m.#isMapEntry);
    return {
      fields: found[at.field] ?? [],
      oneofs: found[at.oneof] ?? [],
      messages: entries.length === 0 ? nested : nested.filter((m) => !m.#isMapEntry),
      mapEntries: new Map(entries.map((entry) => [entry.typeName, entry])),
      enums: (found[at.enum] ?? []).map((bytes) => new EnumDescriptor(this.#set, this.file, this, bytes)),
      options: found[at.options]?.[0],
    };
  }

  #read(): Members {
    this.#members ??= this.#readMembers();
    return this.#members;
  }

  #readMembers(): Members {
    const declared = this.#declared();
    const oneofs = declared.oneofs.map((bytes) => this.#oneof(bytes));
    const fields: DescField[] = [];
    const field: Record<string, DescField> = {};
    const members = new Set<DescField | DescOneof>();
    for (const bytes of declared.fields) {
      const proto = readFieldProto(bytes);
      // A proto3 `optional` field is alone in a oneof that nobody has written.
      const oneof = proto.proto3Optional ? undefined : oneofs[proto.oneofIndex];
      const one = new FieldDescriptor(this.#set, this, oneof, proto) as unknown as DescField;
      fields.push(one);
      field[one.localName] = one;
      oneof?.fields.push(one);
      members.add(oneof ?? one);
    }
    return { fields, field, oneofs: oneofs.filter((oneof) => members.has(oneof)), members: [...members] };
  }

  #oneof(bytes: Uint8Array): DescOneof & WithOptions {
    const set = this.#set;
    const name = nameIn(bytes);
    return {
      kind: 'oneof',
      name,
      localName: safeObjectProperty(protoCamelCase(name)),
      parent: this,
      fields: [],
      deprecated: false,
      get optionBytes() {
        return messageIn(bytes, oneofOptions);
      },
      get proto() {
        return set.decode<OneofDescriptorProto>('google.protobuf.OneofDescriptorProto', bytes);
      },
      toString: () => `oneof ${this.typeName}.${name}`,
    };
  }

  toString(): string {
    return `message ${this.typeName}`;
  }
}
