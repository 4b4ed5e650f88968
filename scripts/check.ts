/** `npm run check [-- --fix]`: format and lint (Biome), types (tsc), who may import whom. Runs all, then reports. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { checkLayers } from './layers.ts';

const root = path.resolve(import.meta.dirname, '..');
const fix = process.argv.includes('--fix');

function run(title: string, command: string, args: readonly string[]): boolean {
  const done = spawnSync(path.join(root, 'node_modules/.bin', command), args, { cwd: root, stdio: 'inherit' });
  console.log(`${done.status === 0 ? 'ok    ' : 'FAILED'} ${title}`);
  return done.status === 0;
}

const results = [
  run('format and lint', 'biome', ['check', '--error-on-warnings', ...(fix ? ['--write'] : []), '.']),
  run('types', 'tsc', ['-p', 'tsconfig.json']),
  checkLayers(root),
];
const failed = results.filter((ok) => !ok).length;
console.log(`check: ${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
