/**
 * A FileDescriptorSet as the library's FileRegistry, of which only what is asked for is read: reading all of Envoy's API
 * took longer than the rest of an agent's start, and a configuration needs a tenth of its messages.
 * Invariants: there is one descriptor of a name, whoever asks; what is asked for is found whatever was asked before.
 */
import {
  type DescEnum,
  type DescExtension,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { FileDescriptor } from './file-descriptor.ts';
import { eachField } from './wire.ts';

type Declared = DescMessage | DescEnum | DescExtension | DescService;

/** A file of which only the first two fields were read. */
interface Unread {
  readonly path: string;
  readonly package: string;
  readonly bytes: Uint8Array;
}

export class DescriptorSet implements FileRegistry {
  readonly kind = 'registry';
  readonly #unread = new Map<string, Unread>();
  readonly #pathsOf = new Map<string, string[]>();
  readonly #files = new Map<string, FileDescriptor>();
  /** What was found, by its full name. */
  readonly #found = new Map<string, Declared>();
  #extensions: DescExtension[] | undefined;

  /** @param bytes a FileDescriptorSet of proto2 and proto3 files; it is kept, and read as it is then */
  constructor(bytes: Uint8Array) {
    eachField(bytes, (number, reader) => {
      if (number !== 1) return false;
      const file = beginningOf(reader.bytes());
      this.#unread.set(file.path, file);
      const paths = this.#pathsOf.get(file.package);
      if (paths === undefined) this.#pathsOf.set(file.package, [file.path]);
      else paths.push(file.path);
      return true;
    });
  }

  get files(): readonly FileDescriptor[] {
    return [...this.#unread.keys()].map((path) => this.fileAt(path));
  }

  *[Symbol.iterator](): IterableIterator<Declared> {
    for (const file of this.files) {
      for (const message of file.messages) yield* declaredBy(message);
      yield* file.enums;
      yield* file.services;
      yield* file.extensions;
    }
  }

  getFile(path: string): FileDescriptor | undefined {
    let file = this.#files.get(path);
    const unread = this.#unread.get(path);
    if (file === undefined && unread !== undefined) {
      file = new FileDescriptor(this, unread.bytes);
      this.#files.set(path, file);
    }
    return file;
  }

  get(name: string): Declared | undefined {
    let found = this.#found.get(name);
    if (found === undefined) {
      found = this.#find(name);
      if (found !== undefined) this.#found.set(name, found);
    }
    return found;
  }

  getMessage(name: string): DescMessage | undefined {
    const found = this.get(name);
    return found?.kind === 'message' ? found : undefined;
  }

  getEnum(name: string): DescEnum | undefined {
    const found = this.get(name);
    return found?.kind === 'enum' ? found : undefined;
  }

  getExtension(name: string): DescExtension | undefined {
    const found = this.get(name);
    return found?.kind === 'extension' ? found : undefined;
  }

  getService(name: string): DescService | undefined {
    const found = this.get(name);
    return found?.kind === 'service' ? found : undefined;
  }

  getExtensionFor(extendee: DescMessage, number: number): DescExtension | undefined {
    this.#extensions ??= this.files.flatMap((file) => file.extensions);
    return this.#extensions.find((e) => e.number === number && e.extendee.typeName === extendee.typeName);
  }

  // ---- for the descriptors themselves, which name only what is there

  fileAt(path: string): FileDescriptor {
    return there(this.getFile(path), path);
  }

  message(name: string): DescMessage {
    return there(this.getMessage(name), name);
  }

  enum(name: string): DescEnum {
    return there(this.getEnum(name), name);
  }

  /** A part of a descriptor as the library's message. */
  decode<M>(name: string, bytes: Uint8Array): M {
    return fromBinary(this.message(name), bytes) as M;
  }

  /** `a.b.C.D`: C in the files of the package a.b, and D in it. */
  #find(name: string): Declared | undefined {
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
      const found = this.#findIn(name.slice(0, dot), name.slice(dot + 1));
      if (found !== undefined) return found;
    }
    return this.#findIn('', name);
  }

  #findIn(packageName: string, rest: string): Declared | undefined {
    const names = rest.split('.');
    for (const path of this.#pathsOf.get(packageName) ?? []) {
      const found = within(this.fileAt(path), names);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function there<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`no descriptor of ${name}`);
  return found;
}

/** Name and package come first: descriptors are written in the order of their fields. */
function beginningOf(bytes: Uint8Array): Unread {
  const reader = new BinaryReader(bytes);
  const text = ['', '', ''];
  while (reader.pos < reader.len) {
    const [number] = reader.tag();
    if (number > 2) break;
    text[number] = reader.string();
  }
  return { path: text[1] ?? '', package: text[2] ?? '', bytes };
}

function within(file: FileDescriptor, [first = '', ...rest]: readonly string[]): Declared | undefined {
  let found: Declared | undefined = named(file.messages, first);
  if (rest.length === 0) {
    return found ?? named(file.enums, first) ?? named(file.services, first) ?? named(file.extensions, first);
  }
  for (const [i, name] of rest.entries()) {
    if (found?.kind !== 'message') return undefined;
    const { nestedMessages, nestedEnums }: DescMessage = found;
    found = named(nestedMessages, name) ?? (i === rest.length - 1 ? named(nestedEnums, name) : undefined);
  }
  return found;
}

function named<D extends Declared>(list: readonly D[], name: string): D | undefined {
  return list.find((one) => one.name === name);
}

function* declaredBy(message: DescMessage): IterableIterator<Declared> {
  yield message;
  for (const nested of message.nestedMessages) yield* declaredBy(nested);
  yield* message.nestedEnums;
}
