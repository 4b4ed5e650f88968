/**
 * `npm test [-- PATTERN]`: unit and contract tests beside the code, then the end-to-end suites in network namespaces.
 * `npm run test:attacks [-- PATTERN]`: the attacks of docs/security.md on the real processes, on loopback.
 * Ends with what failed, by name, and one plain line, `N passed, N failed`; exit code 1 when something failed or
 * nothing ran.
 */
import path from 'node:path';
import { Report } from '../test/runner/report.ts';
import { closing, runAva } from '../test/runner/suite.ts';

const root = path.resolve(import.meta.dirname, '..');

function endToEnd(): Promise<Report> {
  console.log('# end to end, in network namespaces');
  if (process.getuid?.() === 0) return runAva(path.join(root, 'test'), []);
  const why = 'the end-to-end suites make network namespaces and need root. Run:  sudo npm test';
  console.log(`  NOT OK  ${why}`);
  const report = new Report();
  report.failed.push(why);
  return Promise.resolve(report);
}

const isAttacks = process.argv[2] === '--attacks';
const pattern = process.argv.slice(isAttacks ? 3 : 2);
const begun = Date.now();
const reports: Report[] = [];
if (isAttacks) {
  console.log('# attacks');
  reports.push(await runAva(path.join(root, 'test'), ['--config', 'attacks/ava.config.mjs', ...pattern]));
} else {
  console.log('# unit and contract tests');
  reports.push(await runAva(root, pattern));
  if (pattern.length === 0) reports.push(await endToEnd());
}
for (const line of closing(reports, begun)) console.log(line);
process.exitCode = reports.some((r) => r.failed.length > 0) ? 1 : 0;
