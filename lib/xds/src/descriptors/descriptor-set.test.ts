import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import {
  type AnyDesc,
  createFileRegistry,
  type DescField,
  fromBinary,
  getOption,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import test from 'ava';
import { descriptorSet } from '../../gen/set.js';
import { DescriptorSet } from './descriptor-set.ts';

const bytes = readFileSync(descriptorSet);
const library = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));

const references = new Set(['message', 'enum', 'file', 'parent', 'oneof', 'extendee', 'input', 'output']);

/** A descriptor as data: what it refers to by name, what it holds in full. */
function plain(desc: AnyDesc, set: DescriptorSet | typeof library): unknown {
  const out: Record<string, unknown> = { text: desc.toString() };
  for (const key of keysOf[desc.kind]) {
    const value = (desc as unknown as Record<string, unknown>)[key];
    if (key === 'proto') out[key] = protoBytes(value as Message, set);
    else if (references.has(key)) out[key] = value === undefined ? undefined : String(value);
    else if (key === 'members' || key === 'dependencies') out[key] = (value as AnyDesc[]).map(String);
    else if (desc.kind === 'oneof' && key === 'fields') out[key] = (value as AnyDesc[]).map(String);
    else if (key === 'getDefaultValue') out[key] = typeof value === 'function' ? value.call(desc) : value;
    else if (Array.isArray(value)) out[key] = value.map((one: AnyDesc) => plain(one, set));
    else if (typeof value === 'object' && value !== null) {
      out[key] = Object.fromEntries(Object.entries(value).map(([k, one]) => [k, String(one)]));
    } else out[key] = value;
  }
  return out;
}

function protoBytes(message: Message, set: DescriptorSet | typeof library): string {
  const schema = set.getMessage(message.$typeName);
  return schema === undefined ? 'no schema' : Buffer.from(toBinary(schema, message)).toString('base64');
}

/** Everything that the library's interfaces have. */
const field = [
  ...['name', 'number', 'jsonName', 'deprecated', 'presence', 'utf8Validation', 'proto', 'fieldKind', 'oneof'],
  ...['listKind', 'mapKind', 'mapKey', 'scalar', 'message', 'enum', 'longAsString', 'packed', 'delimitedEncoding'],
  'getDefaultValue',
];
const keysOf: Readonly<Record<AnyDesc['kind'], readonly string[]>> = {
  file: ['edition', 'name', 'dependencies', 'enums', 'messages', 'extensions', 'services', 'deprecated', 'proto'],
  message: [
    ...['typeName', 'name', 'file', 'parent', 'fields', 'field', 'oneofs', 'members'],
    ...['nestedEnums', 'nestedMessages', 'nestedExtensions', 'deprecated', 'proto'],
  ],
  field: [...field, 'localName', 'parent'],
  extension: [...field, 'typeName', 'file', 'parent', 'extendee'],
  oneof: ['name', 'localName', 'parent', 'fields', 'deprecated', 'proto'],
  enum: ['typeName', 'name', 'file', 'parent', 'open', 'values', 'value', 'sharedPrefix', 'deprecated', 'proto'],
  enum_value: ['name', 'localName', 'parent', 'number', 'jsonName', 'deprecated', 'proto'],
  service: ['typeName', 'name', 'file', 'methods', 'method', 'deprecated', 'proto'],
  rpc: ['name', 'localName', 'parent', 'methodKind', 'input', 'output', 'idempotency', 'deprecated', 'proto'],
};

test('every descriptor is what the library makes of the same bytes', (t) => {
  const set = new DescriptorSet(bytes);
  const files = [...library.files];
  t.true(files.length > 100);
  t.deepEqual(
    [...set.files].map((file) => file.name),
    files.map((file) => file.name),
  );
  for (const file of files) {
    const [ours, theirs] = [plain(set.fileAt(`${file.name}.proto`), set), plain(file, library)];
    // The comparison that shows a difference takes minutes for all of them.
    if (!isDeepStrictEqual(ours, theirs)) t.deepEqual(ours, theirs, file.name);
  }
});

test('everything is found by its name, whatever was asked before, and there is one of each', (t) => {
  const all = new DescriptorSet(bytes);
  const listed = new Map([...all].map((desc) => [desc.typeName, desc]));
  t.deepEqual([...listed.keys()].sort(), [...library].map((desc) => desc.typeName).sort());
  for (const [name, desc] of listed) {
    const fresh = new DescriptorSet(bytes);
    t.is(String(fresh.get(name)), String(library.get(name)), name);
    const [once, again] = [fresh.get(name), fresh.get(name)];
    t.true(once === again, name);
    t.true(all.get(name) === desc, name);
  }
});

test('the message of a field is the one that its name gives', (t) => {
  const set = new DescriptorSet(bytes);
  const cluster = set.message('envoy.config.cluster.v3.Cluster');
  const option = cluster.field['commonLbConfig'];
  t.true(option?.message === set.getMessage('envoy.config.cluster.v3.Cluster.CommonLbConfig'));
  t.true(cluster.field['type']?.enum === set.getEnum('envoy.config.cluster.v3.Cluster.DiscoveryType'));
  t.true(cluster.file === set.getFile('envoy/config/cluster/v3/cluster.proto'));
  const options = set.message('google.protobuf.FieldOptions');
  t.true(set.getExtensionFor(options, 1071) === set.getExtension('validate.rules'));
});

test('what is not there is not found, and a name of another kind neither', (t) => {
  const set = new DescriptorSet(bytes);
  for (const name of [
    '',
    '.',
    'Cluster',
    'envoy',
    'envoy.config.cluster.v3.',
    'envoy.config.cluster.v3.Cluster.type',
  ]) {
    t.is(set.get(name), undefined, name);
  }
  t.is(set.get('envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig.x'), undefined);
  t.is(set.getEnum('envoy.config.cluster.v3.Cluster'), undefined);
  t.is(set.getMessage('envoy.config.cluster.v3.Cluster.DiscoveryType'), undefined);
  t.is(set.getFile('envoy/none.proto'), undefined);
  t.is(set.getExtensionFor(set.message('google.protobuf.FieldOptions'), 1), undefined);
  t.throws(() => set.message('a.B'), { message: /a\.B/ });
});

test('options read the same from ours', (t) => {
  const set = new DescriptorSet(bytes);
  const rules = set.getExtension('validate.rules');
  const theirs = library.getExtension('validate.rules');
  if (rules === undefined || theirs === undefined) return t.fail();
  const from = (field: DescField | undefined, extension: typeof rules) =>
    field && (getOption(field, extension) as { type?: { case?: string } }).type?.case;
  let told = 0;
  for (const desc of library) {
    if (desc.kind !== 'message') continue;
    for (const field of desc.fields) {
      const mine = set.message(desc.typeName).field[field.localName];
      t.is(from(mine, rules), from(field, theirs));
      if (from(field, theirs) !== undefined) told++;
    }
  }
  t.true(told > 200);
});

test('what cannot be read is refused by name', (t) => {
  const text = (s: string) => [s.length, ...Buffer.from(s)];
  const file = [10, ...text('a.proto'), 98, ...text('editions')];
  const set = new DescriptorSet(Uint8Array.from([10, file.length, ...file]));
  t.throws(() => set.getFile('a.proto'), { message: /a\.proto: only proto2 and proto3/ });
  t.throws(() => new DescriptorSet(Uint8Array.from([10, 200])), { instanceOf: RangeError });
});
