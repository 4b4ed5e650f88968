/** A check report for people, as linkerd prints it; `short` leaves out what is well. Pure. */
import type { CheckReport, CheckResult } from './check.ts';

const marks = { success: '√', warning: '‼', error: '×' } as const;

const indented = (text: string): string =>
  text
    .split('\n')
    .map((l) => `    ${l.trim()}`)
    .join('\n');

function lines({ description, hint, result, reason }: CheckResult): readonly string[] {
  if (result === 'success') return [`${marks.success} ${description}`];
  return [`${marks[result]} ${description}`, indented(reason ?? ''), indented(`hint: ${hint}`)];
}

export function renderReport({ success, categories }: CheckReport, short: boolean): string {
  const shown = categories
    .map((c) => ({ ...c, checks: short ? c.checks.filter((r) => r.result !== 'success') : c.checks }))
    .filter((c) => c.checks.length > 0);
  const blocks = shown.map((c) =>
    [c.categoryName, '-'.repeat(c.categoryName.length), ...c.checks.flatMap(lines)].join('\n'),
  );
  return [...blocks, `Status check results are ${success ? marks.success : marks.error}`].join('\n\n');
}
