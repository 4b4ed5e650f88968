/** A .proto file: the names of what is in it are read at once, the rest when it is asked for. */
import type { DescExtension, DescFile, DescMessage, DescService, SupportedEdition } from '@bufbuild/protobuf';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { edition } from './constants.ts';
import type { DescriptorSet } from './descriptor-set.ts';
import { EnumDescriptor } from './enum-descriptor.ts';
import { extensionOf } from './extension-descriptor.ts';
import { MessageDescriptor } from './message-descriptor.ts';
import { serviceOf } from './service-descriptor.ts';
import { eachField, isSet } from './wire.ts';

/** Field numbers of FileDescriptorProto. */
const at = {
  name: 1,
  package: 2,
  dependency: 3,
  message: 4,
  enum: 5,
  service: 6,
  extension: 7,
  options: 8,
  syntax: 12,
} as const;
const deprecatedFile = 23;
const editions: Readonly<Record<string, SupportedEdition>> = {
  '': edition.proto2,
  proto2: edition.proto2,
  proto3: edition.proto3,
};

export class FileDescriptor implements DescFile {
  readonly kind = 'file';
  readonly name: string;
  readonly edition: SupportedEdition;
  /** As others import it, with its ending. */
  readonly path: string;
  readonly package: string;
  readonly #set: DescriptorSet;
  readonly #bytes: Uint8Array;
  readonly #options: Uint8Array | undefined;
  readonly #dependencies: readonly string[];
  readonly #parts: Readonly<Record<'message' | 'enum' | 'service' | 'extension', readonly Uint8Array[]>>;
  #messages: MessageDescriptor[] | undefined;
  #enums: EnumDescriptor[] | undefined;
  #services: DescService[] | undefined;
  #extensions: DescExtension[] | undefined;

  /** @param bytes a FileDescriptorProto */
  constructor(set: DescriptorSet, bytes: Uint8Array) {
    const text = { [at.name]: '', [at.package]: '', [at.syntax]: '' };
    const dependencies: string[] = [];
    const parts: Record<number, Uint8Array[]> = {
      [at.message]: [],
      [at.enum]: [],
      [at.service]: [],
      [at.extension]: [],
      [at.options]: [],
    };
    eachField(bytes, (number, reader) => {
      if (number in text) text[number as keyof typeof text] = reader.string();
      else if (number === at.dependency) dependencies.push(reader.string());
      else if (number in parts) parts[number]?.push(reader.bytes());
      else return false;
      return true;
    });
    const found = editions[text[at.syntax]];
    this.path = text[at.name];
    if (found === undefined) throw new Error(`${this.path}: only proto2 and proto3 are read, not ${text[at.syntax]}`);
    this.edition = found;
    this.name = this.path.replace(/\.proto$/, '');
    this.package = text[at.package];
    this.#set = set;
    this.#bytes = bytes;
    this.#dependencies = dependencies;
    this.#options = parts[at.options]?.[0];
    this.#parts = {
      message: parts[at.message] ?? [],
      enum: parts[at.enum] ?? [],
      service: parts[at.service] ?? [],
      extension: parts[at.extension] ?? [],
    };
  }

  get deprecated(): boolean {
    return isSet(this.#options, deprecatedFile);
  }

  get dependencies(): DescFile[] {
    return this.#dependencies.map((path) => this.#set.fileAt(path));
  }

  get messages(): MessageDescriptor[] {
    this.#messages ??= this.#parts.message.map((bytes) => new MessageDescriptor(this.#set, this, undefined, bytes));
    return this.#messages;
  }

  get enums(): EnumDescriptor[] {
    this.#enums ??= this.#parts.enum.map((bytes) => new EnumDescriptor(this.#set, this, undefined, bytes));
    return this.#enums;
  }

  get services(): DescService[] {
    this.#services ??= this.#parts.service.map((bytes) => serviceOf(this.#set, this, bytes));
    return this.#services;
  }

  get extensions(): DescExtension[] {
    this.#extensions ??= this.#parts.extension.map((bytes) => extensionOf(this.#set, this, bytes));
    return this.#extensions;
  }

  get proto(): FileDescriptorProto {
    return this.#set.decode<FileDescriptorProto>('google.protobuf.FileDescriptorProto', this.#bytes);
  }

  /** The full name of what is declared in this file, or in a message of it. */
  fullName(parent: DescMessage | undefined, name: string): string {
    if (parent !== undefined) return `${parent.typeName}.${name}`;
    return this.package === '' ? name : `${this.package}.${name}`;
  }

  toString(): string {
    return `file ${this.path}`;
  }
}
