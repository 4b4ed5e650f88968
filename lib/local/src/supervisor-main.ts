/**
 * The supervisor's process: reads its options from the run directory, serves until told to stop, and removes what
 * it made. With --attached it also stops when its stdin closes, which is how it notices that its starter is gone.
 */
import fs from 'node:fs';
import { createLogger, messageOf, systemClock } from '@chainmail/runtime';
import { startApiServer } from './api-server.ts';
import { tryRun } from './command.ts';
import { repositoryRoot } from './images.ts';
import { removeRunDir } from './leftovers.ts';
import { runPaths } from './run-paths.ts';
import type { StartOptions } from './start-options.ts';
import { mountPrivate, Supervisor } from './supervisor.ts';

const [name = '', root = '', mode] = process.argv.slice(2);
const paths = runPaths(name, root);
const options = JSON.parse(fs.readFileSync(paths.options, 'utf8')) as StartOptions;
const log = createLogger({ component: 'dev', level: options.verbose ? 'debug' : 'info' });

await mountPrivate(paths);
const supervisor = new Supervisor({
  paths,
  dirs: options.dirs,
  repository: repositoryRoot(),
  mesh: options.mesh,
  clusterDomain: options.clusterDomain,
  clock: systemClock,
  log,
});

let stopping = false;
async function stop(reason: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info({ reason }, 'stopping');
  await supervisor.stop();
  server.close();
  await tryRun('umount', ['-l', paths.private]);
  await tryRun('ip', ['netns', 'del', paths.nodeNetns]);
  removeRunDir(paths);
  process.exit(0);
}

const server = await startApiServer({ supervisor, paths, log, onStop: () => void stop('asked to') });
process.on('SIGTERM', () => void stop('SIGTERM'));
process.on('SIGINT', () => void stop('SIGINT'));
process.on('SIGHUP', () => void stop('SIGHUP'));
process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'a bug');
  void stop(messageOf(error));
});
if (mode === '--attached') {
  process.stdin.on('end', () => void stop('its starter is gone'));
  process.stdin.on('error', () => void stop('its starter is gone'));
  process.stdin.resume();
}
await supervisor.start();
log.info({ dirs: options.dirs }, 'running');
