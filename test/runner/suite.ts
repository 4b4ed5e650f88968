/** Runs AVA over a folder, with a line for each test, and tells in the end what has failed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Report } from './report.ts';

const ava = path.resolve(import.meta.dirname, '../../node_modules/.bin/ava');
/** The report is read: no colours, and the same signs on every terminal. */
const env = { ...process.env, FORCE_COLOR: '0', TERM: 'dumb' };

/** `args`: of AVA. @param show where each line goes */
export async function runAva(
  cwd: string,
  args: readonly string[],
  show: (line: string) => void = console.log,
): Promise<Report> {
  const child = spawn(ava, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], env });
  const report = new Report();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const shown = report.read(line);
    if (shown !== null) show(shown);
  });
  // Not `exit`, at which lines may still be on their way.
  const [code] = (await once(child, 'close')) as [number | null];
  report.end(code);
  return report;
}

/** The last lines of a run: the names of what failed, how long it took, and `N passed, N failed`. */
export function closing(reports: readonly Report[], begun: number): readonly string[] {
  const failed = reports.flatMap((r) => r.failed);
  const sum = (of: (report: Report) => number): number => reports.reduce((n, r) => n + of(r), 0);
  const skipped = sum((r) => r.skipped);
  return [
    ...failed.map((name) => `FAILED: ${name}`),
    `took ${((Date.now() - begun) / 1000).toFixed(0)} s`,
    `${sum((r) => r.passed)} passed, ${failed.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ];
}
