/** The error a user can reach: a stable code, what is wrong and where, and what to do about it. Bugs stay plain Errors. */

export interface UserErrorOptions {
  /** What to do, as one sentence or command. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** @example throw new UserError('CONFIG_UNKNOWN_FIELD', 'listeners[0].foo: unknown field', { hint: 'remove it' }) */
export class UserError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: UserErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'UserError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** The text of anything thrown, without a stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** How a process ends on an error: message, hint and code for a UserError, the stack for a bug. */
export function describeFatal(thrown: unknown): string {
  if (thrown instanceof UserError) {
    return `${thrown.message} [${thrown.code}]${thrown.hint === undefined ? '' : `\n  ${thrown.hint}`}`;
  }
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
