/** gRPC's status codes (github.com/grpc/grpc/blob/master/doc/statuscodes.md) and a call that ended with one of them. */

export const rpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const names: readonly string[] = Object.keys(rpcStatus);

/** `UNAVAILABLE` of 14; the number itself where the specification has no name. */
export const rpcStatusName = (code: number): string => names[code] ?? String(code);

/** What a call ended with instead of OK. */
export class RpcFailure extends Error {
  override readonly name = 'RpcFailure';
  readonly code: number;
  /** grpc-message, or what happened to the connection. */
  readonly details: string;

  constructor(code: number, details: string) {
    super(`${code} ${rpcStatusName(code)}: ${details}`);
    this.code = code;
    this.details = details;
  }
}
