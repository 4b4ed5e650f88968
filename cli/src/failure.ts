/** The one place where meshctl speaks about failure: message and hint on stderr, and the exit code. */
import { messageOf, UserError } from '@chainmail/runtime';
import { exitCode } from './exit-code.ts';

interface OclifError {
  readonly oclif?: { readonly exit?: number };
  readonly code?: string;
  readonly parse?: unknown;
}

/** The system refused a file that the user named: a message, where a stack would be noise. */
const isFileError = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && 'path' in error && 'errno' in error;

function codeOf(error: unknown): number {
  if (error instanceof UserError) return error.code === 'LOCAL_NOT_UP' ? exitCode.unreachable : exitCode.failed;
  return (error as OclifError).oclif?.exit ?? exitCode.failed;
}

/** Text for a person; undefined when there is nothing to say (an exit on purpose). */
export function failureText(error: unknown): string | undefined {
  if (error instanceof UserError) {
    return `meshctl: ${error.message} [${error.code}]${error.hint === undefined ? '' : `\n  ${error.hint}`}`;
  }
  const { oclif, code } = error as OclifError;
  if (code === 'EEXIT') return undefined;
  if (oclif !== undefined) return `meshctl: ${messageOf(error)}`;
  if (isFileError(error)) return `meshctl: ${messageOf(error)}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Prints the failure and gives the exit code. */
export function report(error: unknown): number {
  const text = failureText(error);
  if (text !== undefined) process.stderr.write(`${text}\n`);
  return codeOf(error);
}
