/** The meshctl binary: finds the command, runs it, and turns whatever it throws into a message and an exit code. */
import { Config, flush, run } from '@oclif/core';
import { report } from './failure.ts';

async function main(): Promise<number> {
  const config = await Config.load({ root: import.meta.dirname });
  await run(process.argv.slice(2), config);
  return Number(process.exitCode ?? 0);
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // whoever reads has seen enough, as `| head` does
});
// Clocks keep no process alive, and a command that waits on one has not ended.
const alive = setInterval(() => {}, 2 ** 30);
const code = await main().catch(report);
clearInterval(alive);
await flush();
process.exit(code);
