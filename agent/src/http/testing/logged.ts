/** What a log line would say, copied, because the record itself is used again. */
import type { LogRecord } from '../request-view.ts';

export interface Logged {
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  readonly method: string;
  readonly path: string;
  readonly attempts: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** The trailer x-mark of the answer. */
  readonly mark: string | null;
}

export function copyRecord(record: LogRecord): Logged {
  const { status, flags, details, attempts, bytesReceived, bytesSent, request } = record;
  const method = request?.method ?? '-';
  const mark = record.responseTrailer?.('x-mark') ?? null;
  return { status, flags, details, method, path: request?.path ?? '-', attempts, bytesReceived, bytesSent, mark };
}
