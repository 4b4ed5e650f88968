/**
 * `npm run fuzz -- [--seconds N] [--target NAME] [--seed N]`: coverage-guided fuzzing of everything that reads bytes
 * of strangers. New inputs go to test/fuzz/corpus/<target>; an input that breaks a property is written there as
 * `failure-<hash>` and ends the run with code 1.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { corpusDirectory, readCorpus } from './corpus.ts';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    target: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const seconds = Number(values.seconds);
const chosen = targets.filter((t) => values.target === undefined || t.name === values.target);
if (!(seconds > 0) || chosen.length === 0 || !Number.isInteger(Number(values.seed))) {
  console.error(`usage: npm run fuzz -- [--seconds N] [--seed N] [--target ${targets.map((t) => t.name).join('|')}]`);
  process.exit(2);
}

function keep(directory: string, prefix: string, input: Buffer): string {
  fs.mkdirSync(directory, { recursive: true });
  const file = path.join(directory, prefix + createHash('sha256').update(input).digest('hex').slice(0, 16));
  fs.writeFileSync(file, input);
  return file;
}

let failures = 0;
for (const target of chosen) {
  const endMs = performance.now() + (seconds * 1000) / chosen.length;
  const { executions, blocks, found, failure } = fuzz(
    target,
    readCorpus(target.name),
    Number(values.seed),
    () => performance.now() >= endMs,
  );
  const directory = path.join(corpusDirectory, target.name);
  for (const input of found) keep(directory, '', input);
  console.log(
    `${failure === null ? 'ok    ' : 'FAILED'} ${target.name}: ${executions} inputs, ${blocks} blocks, ${found.length} new`,
  );
  if (failure === null) continue;
  failures++;
  console.log(`  ${keep(directory, 'failure-', failure.input)}\n  ${String(failure.error)}`);
}
console.log(`${chosen.length - failures} passed, ${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;
