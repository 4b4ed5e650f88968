/**
 * The message inside a google.protobuf.Any, decoded once however often it is asked for: validation and compilation
 * both walk through it.
 */
import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { registry } from './registry.ts';

export type UnpackedAny =
  | { readonly kind: 'message'; readonly schema: DescMessage; readonly message: Message }
  | { readonly kind: 'unknown-type'; readonly typeName: string }
  | { readonly kind: 'malformed'; readonly typeName: string; readonly reason: string };

interface Remembered {
  readonly typeUrl: string;
  readonly content: UnpackedAny;
}

let unpacked = new WeakMap<Any, Remembered>();

export function unpackAny(any: Any): UnpackedAny {
  const remembered = unpacked.get(any);
  if (remembered?.typeUrl === any.typeUrl) return remembered.content;
  const content = decode(any);
  rememberUnpacked(any, content);
  return content;
}

/** For an Any that was made of a message. */
export function rememberUnpacked(any: Any, content: UnpackedAny): void {
  unpacked.set(any, { typeUrl: any.typeUrl, content });
}

/** The Any has got other bytes. */
export function forgetContent(any: Any): void {
  unpacked.delete(any);
}

/** Forgets what was decoded: it holds the descriptors, as long as somebody holds the Any. */
export function forgetUnpacked(): void {
  unpacked = new WeakMap();
}

/** `envoy.config.cluster.v3.Cluster` of `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

function decode(any: Any): UnpackedAny {
  const typeName = typeNameOf(any.typeUrl);
  const schema = registry.getMessage(typeName);
  if (schema === undefined) return { kind: 'unknown-type', typeName };
  try {
    return { kind: 'message', schema, message: fromBinary(schema, any.value) };
  } catch (error) {
    return { kind: 'malformed', typeName, reason: error instanceof Error ? error.message : String(error) };
  }
}
