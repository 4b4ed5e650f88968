/** Runs AVA over this folder, shows a line for each test, and counts. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const root = path.resolve(import.meta.dirname, '../..');

export function verdict({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

export async function runTests(patterns: readonly string[]): Promise<Tally> {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const ava = path.join(root, 'node_modules/.bin/ava');
  const child = spawn(ava, ['--tap', '--config', 'cluster/ava.config.mjs', ...patterns], {
    cwd: path.join(root, 'test'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let isFailure = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const result = /^(ok|not ok) \d+ - (.*?)( # (?:SKIP|TODO).*)?$/.exec(line);
    if (result === null) {
      // Comments are what a test tells with t.log.
      if ((isFailure && /^\s/.test(line)) || /^\s+[*#] /.test(line)) console.log(line);
      return;
    }
    isFailure = result[1] !== 'ok';
    count[isFailure ? 'failed' : result[3] === undefined ? 'passed' : 'skipped']++;
    console.log(`${isFailure ? '  NOT OK ' : '  ok     '} ${result[2]}${result[3] ?? ''}`);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  // A crash of the runner itself must not look like success.
  if ((code !== 0 || count.passed === 0) && count.failed === 0) count.failed++;
  return count;
}
