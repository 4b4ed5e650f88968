/** `node scripts/run.mjs ENTRY [ARGS]`: sets up what is missing, then runs a TypeScript entry with the pinned Node. */
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '..');
const setup = spawnSync(process.execPath, [path.join(here, 'setup.mjs')], { stdio: 'inherit' });
if (setup.status !== 0) process.exit(setup.status ?? 1);

const node = path.join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
const [entry, ...args] = process.argv.slice(2);
const env = {
  ...process.env,
  PATH: `${path.dirname(node)}:${path.join(root, 'node_modules/.bin')}:${process.env.PATH}:/usr/sbin:/sbin`,
};
const child = spawn(node, ['--no-warnings', path.resolve(root, entry), ...args], { stdio: 'inherit', env });
// The terminal sends Ctrl-C to the whole group; the child cleans up and we wait for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
});
