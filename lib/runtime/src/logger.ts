/**
 * The log of a process: pino, one JSON object a line with `time` (ISO 8601), `level` as a word, `component`, `msg`.
 * Invariant: what is named in `secretKeys` never reaches a line.
 */
import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

const secretKeys = ['token', 'authorization', 'privateKey', 'private_key', 'key', 'password', 'cookie'];

export interface LoggerOptions {
  readonly component: string;
  readonly level?: LogLevel;
  /** stderr by default: stdout is for what a program produces. */
  readonly sink?: DestinationStream;
}

export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      base: { component: options.component },
      level: options.level ?? 'info',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...secretKeys, ...secretKeys.map((k) => `*.${k}`)], censor: '[redacted]' },
    },
    options.sink ?? destination({ dest: 2, sync: true }),
  );
}

/** A logger that says nothing, for tests. */
export const silentLogger: Logger = pino({ level: 'silent' });
