/** An extension: plain and whole, for the library copies its properties. */
import type { DescExtension, ScalarType } from '@bufbuild/protobuf';
import type { FieldDescriptorProto } from '@bufbuild/protobuf/wkt';
import { edition, label, type } from './constants.ts';
import type { DescriptorSet } from './descriptor-set.ts';
import { defaultOf, isPacked, kindOf, presenceOf } from './field-descriptor.ts';
import { readFieldProto } from './field-proto.ts';
import type { FileDescriptor } from './file-descriptor.ts';

/** @param bytes a FieldDescriptorProto that a file declares */
export function extensionOf(set: DescriptorSet, file: FileDescriptor, bytes: Uint8Array): DescExtension {
  const proto = readFieldProto(bytes);
  const kind = kindOf(proto);
  const isList = proto.label === label.repeated;
  const ofEnum = kind === 'enum' ? set.enum(proto.typeName) : undefined;
  const typeName = file.fullName(undefined, proto.name);
  return {
    kind: 'extension',
    name: proto.name,
    number: proto.number,
    typeName,
    jsonName: `[${typeName}]`,
    deprecated: proto.deprecated,
    file,
    parent: undefined,
    oneof: undefined,
    extendee: set.message(proto.extendee),
    // Like a member of a oneof it always tells whether it is there.
    presence: presenceOf(proto, true, file.edition),
    utf8Validation: file.edition === edition.proto3,
    fieldKind: isList ? 'list' : kind,
    listKind: isList ? kind : undefined,
    mapKind: undefined,
    mapKey: undefined,
    scalar: kind === 'scalar' ? (proto.type as ScalarType) : undefined,
    message: kind === 'message' ? set.message(proto.typeName) : undefined,
    enum: ofEnum,
    longAsString: kind === 'scalar' && proto.longAsString,
    packed: isList ? isPacked(proto, file.edition) : undefined,
    delimitedEncoding: kind === 'message' ? proto.type === type.group : undefined,
    getDefaultValue: isList ? undefined : () => defaultOf(proto, ofEnum),
    get proto() {
      return set.decode<FieldDescriptorProto>('google.protobuf.FieldDescriptorProto', bytes);
    },
    toString: () => `extension ${typeName}`,
  } as unknown as DescExtension;
}
