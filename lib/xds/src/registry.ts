/**
 * The descriptors of every message that the mesh speaks: built from one set when the first is asked for, and let go of
 * when no configuration is being read. Whoever keeps one keeps the file that it is from and what that imports, so a module
 * that a sidecar loads looks them up by name when it needs them and has none in a constant.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { DescExtension, DescFile, DescMessage, FileRegistry } from '@bufbuild/protobuf';
import { descriptorSet } from '../gen/set.js';
import { DescriptorSet } from './descriptors/descriptor-set.ts';
import type * as LateProtobuf from './late-protobuf.ts';

let built: FileRegistry | undefined;
let late: typeof LateProtobuf | undefined;

function all(): FileRegistry {
  built ??= new DescriptorSet(readFileSync(descriptorSet));
  return built;
}

/** Goes with the descriptors: nobody keeps what it gives. */
export function lateProtobuf(): typeof LateProtobuf {
  late ??= createRequire(import.meta.url)('./late-protobuf.ts') as typeof LateProtobuf;
  return late;
}

/** All descriptors; the file is read when one is asked for. */
export const registry: FileRegistry = {
  kind: 'registry',
  get files() {
    return all().files;
  },
  [Symbol.iterator]: () => all()[Symbol.iterator](),
  get: (name) => all().get(name),
  getFile: (name) => all().getFile(name),
  getMessage: (name) => all().getMessage(name),
  getEnum: (name) => all().getEnum(name),
  getExtension: (name) => all().getExtension(name),
  getExtensionFor: (extendee, no) => all().getExtensionFor(extendee, no),
  getService: (name) => all().getService(name),
};

export function registryIsBuilt(): boolean {
  return built !== undefined;
}

const lateFile = /\/late-protobuf\.(cjs|ts)$/;

/** Lets the descriptors go until one is asked for again; what holds a descriptor keeps its own. */
export function releaseRegistry(): void {
  built = undefined;
  late = undefined;
  const { cache } = createRequire(import.meta.url);
  for (const file of Object.keys(cache)) if (lateFile.test(file)) delete cache[file];
}

/** For generated code. */
export function fileOf(name: string): DescFile {
  return there(registry.getFile(name), name);
}

/** The descriptor of a message that is in the set, such as `google.protobuf.Any`. */
export function messageNamed<D extends DescMessage>(name: D['typeName']): D {
  return there(registry.getMessage(name), name) as D;
}

/** The same of an extension, such as `validate.rules`. */
export function extensionNamed<D extends DescExtension>(name: D['typeName']): D {
  return there(registry.getExtension(name), name) as D;
}

function there<D>(found: D | undefined, name: string): D {
  if (found === undefined) throw new Error(`no descriptor of ${name}`);
  return found;
}
