/**
 * `npm test [-- PATTERN]`: unit and contract tests beside the code, then the end-to-end suites in network namespaces.
 * `npm run test:attacks [-- PATTERN]`: the attacks of docs/security.md on the real processes, on loopback.
 * Ends with one plain line, `N passed, N failed`, and exit code 1 when something failed or nothing ran.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

const root = path.resolve(import.meta.dirname, '..');

/** Runs one AVA configuration as TAP, passes failures and a line per file through, and counts. */
function suite(cwd: string, args: readonly string[], tally: Tally): Promise<void> {
  const ava = path.join(root, 'node_modules/.bin/ava');
  const child = spawn(ava, ['--tap', ...args], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  let quiet = true;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const result = /^(ok|not ok) \d+ - (.*?)( # (?:SKIP|TODO).*)?$/.exec(line);
    if (result !== null) {
      quiet = result[1] === 'ok';
      if (result[3] !== undefined) tally.skipped++;
      else if (quiet) tally.passed++;
      else tally.failed++;
      console.log(`${quiet ? '  ok     ' : '  NOT OK '} ${result[2]}${result[3] ?? ''}`);
    } else if (!quiet && /^\s/.test(line)) console.log(line);
  });
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      // A crash of the runner itself (a syntax error, say) must not look like success.
      if (code !== 0 && tally.failed === 0) tally.failed++;
      resolve();
    });
  });
}

async function endToEnd(): Promise<void> {
  if (process.getuid?.() === 0) {
    console.log('# end to end, in network namespaces');
    await suite(path.join(root, 'test'), [], tally);
    return;
  }
  console.log('# NOT OK: the end-to-end suites make network namespaces and need root. Run:  sudo npm test');
  tally.failed++;
}

const attacks = process.argv[2] === '--attacks';
const pattern = process.argv.slice(attacks ? 3 : 2);
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
const begun = Date.now();
if (attacks) {
  console.log('# attacks');
  await suite(path.join(root, 'test'), ['--config', 'attacks/ava.config.mjs', ...pattern], tally);
} else {
  console.log('# unit and contract tests');
  await suite(root, pattern, tally);
  if (pattern.length === 0) await endToEnd();
}
console.log(`took ${((Date.now() - begun) / 1000).toFixed(0)} s`);
if (tally.passed === 0) tally.failed++;
console.log(`${tally.passed} passed, ${tally.failed} failed${tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''}`);
process.exitCode = tally.failed > 0 ? 1 : 0;
