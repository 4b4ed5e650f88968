/** What an API server refused, or that it did not answer. */
import { isRecord } from '../schema/schema.ts';

export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Kubernetes' word for it, such as `Conflict`; empty when there is none. */
  readonly reason: string;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: { status: number; reason?: string; retryAfterMs?: number; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ApiError';
    this.status = details.status;
    this.reason = details.reason ?? '';
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** `Retry-After` in seconds, at most five minutes. */
function retryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Math.min(Number(header), 300) * 1000 : undefined;
}

const longestMessage = 1024;

/** The error of an answer, from its Status object where it has one. */
export function errorOf(what: string, status: number, body: string, retryAfterHeader?: string): ApiError {
  let told: unknown;
  try {
    told = JSON.parse(body);
  } catch {
    told = undefined;
  }
  const { message, reason } = isRecord(told) ? told : {};
  const text = typeof message === 'string' && message !== '' ? message : body.trim();
  const wait = retryAfter(retryAfterHeader);
  return new ApiError(`${what}: ${status} ${text.slice(0, longestMessage)}`.trim(), {
    status,
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  });
}

/** Somebody else changed or made the object first. */
export const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409;
export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;
/** The version we asked for is gone from the server's history. */
export const isExpired = (error: unknown): boolean => error instanceof ApiError && error.status === 410;
