/** What every route of the supervisor's API works with, and the two ways to answer. */
import type http from 'node:http';
import { type Logger, UserError } from '@chainmail/runtime';
import type { RunPaths } from './run-paths.ts';
import type { Supervisor } from './supervisor.ts';

export interface ApiContext {
  readonly supervisor: Supervisor;
  readonly paths: RunPaths;
  readonly log: Logger;
  /** Begins the end of everything; the answer to POST /stop is sent before. */
  readonly onStop: () => void;
}

export function sendJson(response: http.ServerResponse, code: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

export function notFound(what: string): UserError {
  return new UserError('LOCAL_NOT_FOUND', what, { hint: 'meshctl dev status lists what there is' });
}
