/** A check is data: what it is about, what to do when it fails, and a question. Running and printing know no check. */
import { messageOf } from '@chainmail/runtime';

export type Outcome =
  | { readonly result: 'success' }
  /** `warning` does not fail the command: something works that could be better. */
  | { readonly result: 'error' | 'warning'; readonly reason: string };

export const success: Outcome = { result: 'success' };
export const failure = (reason: string): Outcome => ({ result: 'error', reason });
export const warning = (reason: string): Outcome => ({ result: 'warning', reason });

export interface Check<Facts> {
  /** What holds when it succeeds, e.g. `can reach the Kubernetes API`. */
  readonly description: string;
  readonly hint: string;
  /** Nothing after it makes sense when it fails. */
  readonly fatal?: true;
  readonly ask: (facts: Facts) => Promise<Outcome>;
}

export interface Category<Facts> {
  readonly name: string;
  readonly checks: readonly Check<Facts>[];
}

export interface CheckResult {
  readonly description: string;
  readonly hint: string;
  readonly result: Outcome['result'];
  readonly reason?: string;
}

export interface CategoryResult {
  readonly categoryName: string;
  readonly checks: readonly CheckResult[];
}

export interface CheckReport {
  readonly success: boolean;
  readonly categories: readonly CategoryResult[];
}

async function answer<Facts>(check: Check<Facts>, facts: Facts): Promise<CheckResult> {
  const { description, hint } = check;
  const outcome = await check.ask(facts).catch((error: unknown) => failure(messageOf(error)));
  return { description, hint, ...outcome };
}

/** Asks in order, and stops after a fatal one that failed. */
export async function runChecks<Facts>(categories: readonly Category<Facts>[], facts: Facts): Promise<CheckReport> {
  const done: CategoryResult[] = [];
  let stopped = false;
  for (const { name, checks } of categories) {
    const results: CheckResult[] = [];
    for (const check of checks) {
      if (stopped) break;
      const result = await answer(check, facts);
      results.push(result);
      stopped = check.fatal === true && result.result === 'error';
    }
    if (results.length > 0) done.push({ categoryName: name, checks: results });
  }
  return { success: done.every((c) => c.checks.every((r) => r.result !== 'error')), categories: done };
}
