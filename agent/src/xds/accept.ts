/** One discovered resource: decode, validate, compile. Whatever is wrong with it becomes text for the NACK. */
import type { Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { messageOf } from '@chainmail/runtime';
import { describeProblem, typeNameOf, unpackAny, validateMessage } from '@chainmail/xds';
import { type ResourceKind, resourceTypes } from './resource-types.ts';

export type Accepted<C> =
  | { readonly ok: true; readonly compiled: C; readonly raw: Uint8Array }
  | { readonly ok: false; readonly reason: string };

/** Problems named in one NACK for one resource. */
const shownProblems = 3;

/** @param name as the server calls the resource: the message must carry the same */
export function acceptResource<M extends Message, C>(
  kind: ResourceKind,
  name: string,
  any: Any,
  compile: (message: M) => C,
  nameOf: (compiled: C) => string,
): Accepted<C> {
  const refuse = (reason: string): Accepted<C> => ({ ok: false, reason: `${name}: ${reason}` });
  if (any.typeUrl !== resourceTypes[kind]) return refuse(`is a ${typeNameOf(any.typeUrl)}`);
  const inner = unpackAny(any);
  if (inner.kind !== 'message')
    return refuse(inner.kind === 'malformed' ? inner.reason : `unknown type ${inner.typeName}`);
  const problems = validateMessage(inner.schema, inner.message);
  if (problems.length > 0) return refuse(problems.slice(0, shownProblems).map(describeProblem).join('; '));
  try {
    const compiled = compile(inner.message as M);
    if (nameOf(compiled) !== name) return refuse(`the message inside is named '${nameOf(compiled)}'`);
    // A copy: the bytes are a view into the whole response, which must not live as long as they do.
    return { ok: true, compiled, raw: any.value.slice() };
  } catch (error) {
    return refuse(messageOf(error));
  }
}
