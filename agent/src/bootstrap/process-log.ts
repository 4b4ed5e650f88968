/** The log of the process: standard error or a file that can be reopened, at a level named as Envoy names them. */
import fs from 'node:fs';
import { createLogger, type Logger, type LogLevel, UserError } from '@chainmail/runtime';

/** Envoy's names, with ours for the same. */
const levels: Readonly<Record<string, LogLevel>> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  warn: 'warn',
  error: 'error',
  critical: 'fatal',
  off: 'silent',
};

export interface ProcessLog {
  readonly log: Logger;
  /** After the file was moved away. */
  reopen(): void;
}

/** @throws UserError for an unknown level or a file that cannot be opened */
export function createProcessLog(level: string, path: string | null): ProcessLog {
  const parsed = parseLevel(level);
  if (parsed === undefined) {
    throw new UserError('USAGE', `-l: unknown level '${level}' (${Object.keys(levels).join(', ')})`);
  }
  if (path === null) return { log: createLogger({ component: 'agent', level: parsed }), reopen: () => undefined };
  let fd = open(path);
  const sink = {
    write: (line: string): void => {
      fs.writeSync(fd, line);
    },
  };
  return {
    log: createLogger({ component: 'agent', level: parsed, sink }),
    reopen: () => {
      const next = open(path);
      fs.closeSync(fd);
      fd = next;
    },
  };
}

/** undefined for a name that is none. */
export function parseLevel(name: string): LogLevel | undefined {
  return Object.hasOwn(levels, name) ? levels[name] : undefined;
}

/** Envoy's name of a level. */
export function levelName(level: string): string {
  return Object.entries(levels).find(([, ours]) => ours === level)?.[0] ?? level;
}

function open(path: string): number {
  try {
    return fs.openSync(path, 'a', 0o640);
  } catch (cause) {
    throw new UserError('LOG_PATH', `cannot open the log file ${path}`, { cause });
  }
}
