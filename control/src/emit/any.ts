/** Envoy's way to name an extension: a well-known name and a packed message. */
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack, type Duration, durationFromMs } from '@bufbuild/protobuf/wkt';

export function pack<D extends DescMessage>(schema: D, init?: MessageInitShape<D>): Any {
  return anyPack(schema, create(schema, init));
}

export const duration = (ms: number): Duration => durationFromMs(ms);
