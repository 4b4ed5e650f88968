/**
 * The one place that answers a client in the agent's own name. Bodies, header order and the gRPC form are Envoy's.
 */

import { encodeGrpcMessage } from '../grpc/percent.ts';
import { type Head, type StaticHeader, staticHeader } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import type { Downstream } from './downstream.ts';
import { grpcStatusOfHttp } from './grpc-status.ts';

export interface LocalReply {
  readonly status: number;
  /** '' for none. */
  readonly body: string;
  /** Of the body, when it is not plain text. */
  readonly contentType?: string;
  /** For a gRPC caller, where it is not the status's usual one. */
  readonly grpcStatus?: number;
  /** Headers besides the usual ones, e.g. location. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

export interface LocalReplyContext {
  readonly method: number;
  readonly isGrpc: boolean;
  readonly date: ReturnType<typeof staticHeader>;
  /** Null where only the upstream may say it. */
  readonly server: ReturnType<typeof staticHeader> | null;
  /** HTTP/2 tells the end of a body by itself. */
  readonly protocol: Downstream['protocol'];
  /** The connection ends with this answer. */
  readonly close: boolean;
  /** Headers that the configuration adds, or null. */
  readonly edit: (() => void) | null;
}

const textPlain = staticHeader('content-type', 'text/plain');
const grpcType = staticHeader('content-type', 'application/grpc');
const close = staticHeader('connection', 'close');
const noLength = staticHeader('content-length', '0');
const chunked = staticHeader('transfer-encoding', 'chunked');

/** Fills the head with the answer; the body bytes to send after it, '' for none. */
export function buildLocalReply(head: Head, reply: LocalReply, context: LocalReplyContext): string {
  head.reset();
  if (context.isGrpc) return buildGrpc(head, reply, context);
  head.status = reply.status;
  const isHead = context.method === method.HEAD;
  // A 204 has none, and says nothing of one (RFC 9110 section 8.6).
  const body = reply.status === 204 ? '' : reply.body;
  addHeaders(head, reply);
  context.edit?.();
  if (body !== '') {
    head.add('content-length', String(Buffer.byteLength(body)));
    if (reply.contentType === undefined) head.addStatic(textPlain);
    else head.add('content-type', reply.contentType);
  }
  addCommon(head, context);
  if (body === '') addFraming(head, context, isHead ? chunked : noLength);
  return isHead || reply.status === 304 ? '' : body;
}

function buildGrpc(head: Head, reply: LocalReply, context: LocalReplyContext): string {
  head.status = 200;
  addHeaders(head, reply);
  context.edit?.();
  head.addStatic(grpcType);
  head.add('grpc-status', String(reply.grpcStatus ?? grpcStatusOfHttp(reply.status)));
  if (reply.body !== '') head.add('grpc-message', encodeGrpcMessage(reply.body.replace(/\n$/, '')));
  addCommon(head, context);
  addFraming(head, context, noLength);
  return '';
}

/** RFC 9112 section 6.1: a 204 has none. */
function addFraming(head: Head, context: LocalReplyContext, framing: StaticHeader): void {
  if (context.protocol === 'http1' && head.status !== 204) head.addStatic(framing);
}

function addHeaders(head: Head, reply: LocalReply): void {
  for (const [name, value] of reply.headers ?? []) head.add(name, value.replace(/[\r\n\0]/g, ''));
}

function addCommon(head: Head, context: LocalReplyContext): void {
  head.addStatic(context.date);
  if (context.server !== null) head.addStatic(context.server);
  if (context.close) head.addStatic(close);
}
