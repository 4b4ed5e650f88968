/** A problem in a configuration message, with the place of the field in Envoy's own spelling. */
import { UserError } from '@chainmail/runtime';

export interface FieldProblem {
  /** `filter_chains[0].filters[1].typed_config.stat_prefix`, or '' for the message itself. */
  readonly path: string;
  readonly reason: string;
}

/** code CONFIG_INVALID: the text is no valid message, or breaks a rule that the message declares. */
export class FieldError extends UserError implements FieldProblem {
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string, options: { code?: string; hint?: string } = {}) {
    super(
      options.code ?? 'CONFIG_INVALID',
      describeProblem({ path, reason }),
      options.hint === undefined ? {} : { hint: options.hint },
    );
    this.path = path;
    this.reason = reason;
  }
}

/** `path: reason`, or the reason alone at the root. */
export function describeProblem(problem: FieldProblem): string {
  return problem.path === '' ? problem.reason : `${problem.path}: ${problem.reason}`;
}

/** Joins a path and the next field name. */
export function joinPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
