/**
 * grpc-status of an answer, wherever it stands, and what it is worth as an HTTP status: outlier detection, edges and
 * statistics treat both alike. The tables are Envoy's (source/common/grpc/status.cc).
 */
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';

/** No grpc-status, or one that is no number. */
export const noGrpcStatus = -1;
const mostDigits = 9;
const zero = '0'.charCodeAt(0);

const httpStatuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** A code that gRPC does not define is a failure of the server. */
export function httpStatusOfGrpc(code: number): number {
  return httpStatuses[code] ?? 500;
}

/** What an answer counts as: its grpc-status where that is known, otherwise its HTTP status. */
export function statusWorth(grpcStatus: number, status: number): number {
  return grpcStatus === noGrpcStatus ? status : httpStatusOfGrpc(grpcStatus);
}

const camelNames: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/** `DeadlineExceeded`; the number where gRPC has no name. */
export const camelGrpcStatus = (code: number): string => camelNames[code] ?? String(code);

/** `DEADLINE_EXCEEDED`; gRPC itself writes CANCELLED with two L. */
export function snakeGrpcStatus(code: number): string {
  if (code === 1) return 'CANCELLED';
  return (camelNames[code] ?? String(code)).replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();
}

/** Read digit by digit: every call has one, and a string for it would be garbage. */
function statusIn(head: Head): number {
  const index = head.find(token['grpc-status']);
  if (index < 0) return noGrpcStatus;
  const { bytes } = head;
  const start = head.valueStart(index);
  const end = head.valueEnd(index);
  if (start === end || end - start > mostDigits) return noGrpcStatus;
  let status = 0;
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] as number) - zero;
    if (digit < 0 || digit > 9) return noGrpcStatus;
    status = status * 10 + digit;
  }
  return status;
}

/** Of an answer: its trailers say it, or a head that came with none. */
export function grpcStatusOf(head: Head, trailers: Head | null): number {
  const status = trailers === null ? noGrpcStatus : statusIn(trailers);
  return status === noGrpcStatus ? statusIn(head) : status;
}

const grpcStatuses: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};

/** grpc-status of an HTTP status; 2 is UNKNOWN. */
export function grpcStatusOfHttp(status: number): number {
  return grpcStatuses[status] ?? 2;
}
