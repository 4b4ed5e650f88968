/** Our reading of JSON beside the library's: values of every message that there is, made at random from its descriptor. */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { numbers } from '@chainmail/runtime/testing';
import test from 'ava';
import { typeNameOf, unpackAny } from './any.ts';
import { parseEnvoyJson } from './json.ts';
import type { ScalarKind } from './json-scalar.ts';
import { registry } from './registry.ts';

const maxDepth = 4;
const anys = ['envoy.config.core.v3.SocketAddress', 'google.protobuf.Duration', 'google.protobuf.BytesValue'];

class Maker {
  readonly #below: (n: number) => number;
  constructor(seed: number) {
    this.#below = numbers(seed);
  }

  #one<T>(...of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }

  message(desc: DescMessage, depth: number): JsonValue {
    const known = this.#wellKnown(desc, depth);
    if (known !== undefined) return known;
    const json: JsonObject = {};
    for (const member of desc.members) {
      if (this.#below(3) === 0) continue;
      const field = member.kind === 'oneof' ? this.#one(...member.fields) : member;
      if (depth >= maxDepth && field.message !== undefined) continue;
      json[this.#one(field.name, field.jsonName)] = this.#field(field, depth);
    }
    return json;
  }

  #field(field: DescField, depth: number): JsonValue {
    if (field.fieldKind === 'list') return Array.from({ length: this.#below(3) }, () => this.#single(field, depth));
    if (field.fieldKind !== 'map') return this.#single(field, depth);
    const keys = Array.from({ length: this.#below(3) }, () => String(this.#scalar(field.mapKey)));
    return Object.fromEntries(keys.map((key) => [key, this.#single(field, depth)]));
  }

  #single(field: DescField, depth: number): JsonValue {
    if (field.message !== undefined) return this.message(field.message, depth + 1);
    if (field.enum === undefined) return this.#scalar(field.scalar as ScalarKind);
    const value = this.#one(...field.enum.values);
    return this.#one<JsonValue>(value.name, value.number);
  }

  #scalar(kind: ScalarKind): JsonValue {
    switch (kind) {
      case ScalarType.BOOL:
        return this.#one(true, false);
      case ScalarType.STRING:
        return this.#one('', 'a', '\u00e9\ud83d\ude00', '__proto__');
      case ScalarType.BYTES:
        return this.#one('', 'AA==', 'AAE', '_-8=', '/+8=');
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return this.#one<JsonValue>(0, 1.5, -2, '3.25', '1e3', 'NaN', '-Infinity');
      case ScalarType.UINT64:
      case ScalarType.FIXED64:
        return this.#one<JsonValue>(0, 7, '18446744073709551615');
      case ScalarType.INT64:
      case ScalarType.SINT64:
      case ScalarType.SFIXED64:
        return this.#one<JsonValue>(0, -7, '-9223372036854775808', '9223372036854775807');
      case ScalarType.UINT32:
      case ScalarType.FIXED32:
        return this.#one<JsonValue>(0, 7, 4294967295, '8');
      default:
        return this.#one<JsonValue>(0, -7, 2147483647, '-2147483648');
    }
  }

  #wellKnown(desc: DescMessage, depth: number): JsonValue | undefined {
    switch (desc.typeName) {
      case 'google.protobuf.Any':
        return this.#any(depth);
      case 'google.protobuf.Duration':
        return this.#one<JsonValue>('0s', '1.5s', '-0.25s', '-3s', '315576000000s', '0.000000001s');
      case 'google.protobuf.Timestamp':
        return '2026-11-28T06:00:00.5Z';
      case 'google.protobuf.FieldMask':
        return 'aB,c.dE';
      case 'google.protobuf.Struct':
        return { a: 1, b: [null, { c: 'd' }], __proto__x: true };
      case 'google.protobuf.Value':
        return this.#one<JsonValue>(null, 1, 'x', true, [1, null], { a: [] });
      case 'google.protobuf.ListValue':
        return [1, 'x', null, {}];
      default:
        return desc.typeName.startsWith('google.protobuf.') && desc.typeName.endsWith('Value')
          ? this.#scalar(desc.fields[0]?.scalar as ScalarKind)
          : undefined;
    }
  }

  #any(depth: number): JsonValue {
    const name = this.#one(...anys);
    const desc = registry.getMessage(name);
    if (desc === undefined) throw new Error(`no ${name}`);
    const content = this.message(desc, Math.max(depth, maxDepth - 1));
    const isPlain = !name.startsWith('google.');
    return { '@type': `type.googleapis.com/${name}`, ...(isPlain ? (content as JsonObject) : { value: content }) };
  }
}

/** Messages of descriptors of descriptors are no configuration, and have extensions. */
const isConfiguration = (desc: DescMessage): boolean =>
  !desc.file.name.startsWith('google/protobuf/descriptor') && !desc.file.name.startsWith('google/api/');

test('any value of any message is read as the library reads it', (t) => {
  let seed = 1;
  for (const desc of registry) {
    if (desc.kind !== 'message' || !isConfiguration(desc)) continue;
    for (let round = 0; round < 4; round++) {
      const json = new Maker(seed++).message(desc, 0);
      const library = fromJson(desc, json, { registry });
      const own = parseEnvoyJson(desc, json);
      t.deepEqual(toBinary(desc, own), toBinary(desc, library), `${desc.typeName} ${JSON.stringify(json)}`);
      t.deepEqual(own, library, desc.typeName);
    }
  }
  t.true(seed > 2500, `${seed} values`);
});

test('an Any remembers what it was made of, and takes other bytes', (t) => {
  const desc = registry.getMessage('google.protobuf.Any') as DescMessage;
  const address = registry.getMessage(anys[0] ?? '') as DescMessage;
  const any = parseEnvoyJson(desc, { '@type': `a/${anys[0]}`, address: 'b' }) as Message & {
    typeUrl: string;
    value: Uint8Array;
  };
  t.is(typeNameOf(any.typeUrl), address.typeName);
  t.like(unpackAny(any as never), { kind: 'message', message: { address: 'b' } });
  t.deepEqual(any.value, toBinary(address, parseEnvoyJson(address, { address: 'b' })));
  any.value = toBinary(address, parseEnvoyJson(address, { address: 'c' }));
  t.like(unpackAny(any as never), { kind: 'message', message: { address: 'c' } });
  any.typeUrl = 'a/b';
  t.deepEqual(unpackAny(any as never), { kind: 'unknown-type', typeName: 'b' });
});
