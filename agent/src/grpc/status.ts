/** What an answer or a reset that says nothing of gRPC means to a caller, by the specification's tables. */
import { RpcFailure, rpcStatus } from '@chainmail/xds/rpc-status';
import { errorCode } from '../http2/frame.ts';
import type { ResetCause } from '../http2/stream.ts';

/** doc/http-grpc-status-mapping.md. */
const ofHttp: Readonly<Record<number, number>> = {
  400: rpcStatus.INTERNAL,
  401: rpcStatus.UNAUTHENTICATED,
  403: rpcStatus.PERMISSION_DENIED,
  404: rpcStatus.UNIMPLEMENTED,
  429: rpcStatus.UNAVAILABLE,
  502: rpcStatus.UNAVAILABLE,
  503: rpcStatus.UNAVAILABLE,
  504: rpcStatus.UNAVAILABLE,
};

export function statusOfHttp(status: number): RpcFailure {
  return new RpcFailure(ofHttp[status] ?? rpcStatus.UNKNOWN, `HTTP status ${status} without grpc-status`);
}

/** doc/PROTOCOL-HTTP2.md, "HTTP2 Transport Mapping". */
const ofReset: Readonly<Record<number, number>> = {
  [errorCode.refusedStream]: rpcStatus.UNAVAILABLE,
  [errorCode.cancel]: rpcStatus.CANCELLED,
  [errorCode.enhanceYourCalm]: rpcStatus.RESOURCE_EXHAUSTED,
  [errorCode.inadequateSecurity]: rpcStatus.PERMISSION_DENIED,
};

export function statusOfReset(code: number, cause: ResetCause): RpcFailure {
  const text = cause === 'local' ? 'the answer breaks a rule of HTTP/2' : 'the server has reset the stream';
  return new RpcFailure(ofReset[code] ?? rpcStatus.INTERNAL, `${text} (code ${code})`);
}
