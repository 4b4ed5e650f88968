/** The one place where meshctl speaks about failure: message and hint on stderr, and the exit code. */
import { messageOf, UserError } from '@chainmail/runtime';
import { exitCode } from './exit-code.ts';

interface OclifError {
  readonly oclif?: { readonly exit?: number };
  readonly code?: string;
  readonly parse?: unknown;
}

const nothingThere: ReadonlySet<string> = new Set(['LOCAL_NOT_UP', 'TARGET_NONE']);

/** The system refused a file that the user named: a message, where a stack would be noise. */
const isFileError = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && 'path' in error && 'errno' in error;

/** What an API server refused or did not answer. Known by its name: its module is heavy, and most commands need none. */
const isApiError = (error: unknown): error is Error & { readonly status: number } =>
  error instanceof Error && error.name === 'ApiError' && 'status' in error && typeof error.status === 'number';

function apiHint(status: number): string {
  if (status === 0) return 'is the address in the kubeconfig right, and the cluster up? kubectl version tells as well';
  if (status === 401) return 'the credentials of the kubeconfig are not accepted';
  if (status === 403) return 'kubectl auth can-i --list shows what you may do; installing needs cluster-admin';
  return "the words are the API server's";
}

const apiFailure = (error: Error & { readonly status: number }): UserError =>
  new UserError('KUBE_API', error.message, { hint: apiHint(error.status), cause: error });

function codeOf(error: unknown): number {
  if (error instanceof UserError) return nothingThere.has(error.code) ? exitCode.unreachable : exitCode.failed;
  if (isApiError(error)) return error.status === 0 ? exitCode.unreachable : exitCode.failed;
  return (error as OclifError).oclif?.exit ?? exitCode.failed;
}

/** Text for a person; undefined when there is nothing to say (an exit on purpose). */
export function failureText(thrown: unknown): string | undefined {
  const error = isApiError(thrown) ? apiFailure(thrown) : thrown;
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
