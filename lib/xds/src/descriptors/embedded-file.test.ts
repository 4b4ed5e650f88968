import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import { base64Encode } from '@bufbuild/protobuf/wire';
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_struct,
} from '@bufbuild/protobuf/wkt';
import test from 'ava';
import { fileDesc } from './embedded-file.ts';

const base64 = base64Encode(toBinary(FileDescriptorProtoSchema, file_google_protobuf_struct.proto));
const bare = base64Encode(
  toBinary(FileDescriptorProtoSchema, {
    ...file_google_protobuf_struct.proto,
    messageType: file_google_protobuf_struct.proto.messageType.map((m) => ({
      ...m,
      field: m.field.map((f) => ({ ...f, jsonName: '' })),
    })),
  }),
);

const shape = (message: DescMessage) =>
  message.fields.map((f) => [f.localName, f.jsonName, f.fieldKind, `${f.message}`]);

test('an embedded file has what the library reads in it, also where it leaves out the names in JSON', (t) => {
  for (const text of [base64, bare]) {
    const ours = fileDesc(text);
    t.is(ours.name, 'google/protobuf/struct');
    t.deepEqual(ours.messages.map(shape), file_google_protobuf_struct.messages.map(shape));
    const message = { $typeName: 'google.protobuf.ListValue', values: [] } as const;
    const list = ours.messages[2];
    t.is(list?.typeName, message.$typeName);
    if (list !== undefined) t.deepEqual(fromBinary(list, toBinary(list, { ...message })).$typeName, message.$typeName);
  }
});

test('one that imports others is refused', (t) => {
  t.throws(() => fileDesc(base64, [file_google_protobuf_any]), { message: /struct.proto.*imports/ });
});
