/** Takes secrets out of a message in JSON form: every field that the protos mark as sensitive, wherever it stands. */
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { getExtension, hasExtension, ScalarType } from '@bufbuild/protobuf';
import { typeNameOf } from '@chainmail/xds';
import type { sensitive } from '@chainmail/xds/proto/udpa/annotations/sensitive';
import { extensionNamed, registry } from '@chainmail/xds/registry';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const redactedText = '[redacted]';
const redactedBytes = Buffer.from(redactedText).toString('base64');

/** @param value the message as toJson gives it, with the field names of the proto */
export function redact(desc: DescMessage, value: Json, hide = false): Json {
  if (!isObject(value)) return value;
  if (desc.typeName === 'google.protobuf.Any') {
    const inner = registry.getMessage(typeNameOf(String(value['@type'] ?? '')));
    return inner === undefined ? value : redact(inner, value, hide);
  }
  const fields = new Map(desc.fields.map((f) => [f.name, f]));
  const entries = Object.entries(value).map(([key, v]): [string, Json] => {
    const field = fields.get(key);
    return [key, field === undefined ? v : redactField(field, v, hide || isSensitive(field))];
  });
  return Object.fromEntries(entries);
}

function redactField(field: DescField, value: Json, hide: boolean): Json {
  if (Array.isArray(value)) return value.map((item: Json) => redactOne(field, item, hide));
  if (field.fieldKind === 'map' && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, redactOne(field, v, hide)]));
  }
  return redactOne(field, value, hide);
}

function redactOne(field: DescField, value: Json, hide: boolean): Json {
  if (field.message !== undefined) return redact(field.message, value, hide);
  if (!hide || typeof value !== 'string') return value;
  return field.scalar === ScalarType.BYTES ? redactedBytes : redactedText;
}

function isSensitive(field: DescField): boolean {
  const { options } = field.proto;
  if (options === undefined) return false;
  const mark = extensionNamed<typeof sensitive>('udpa.annotations.sensitive');
  return hasExtension(options, mark) && getExtension(options, mark) === true;
}

export function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
