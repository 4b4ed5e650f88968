/** chainmail-injector: the process. */
import { createLogger, describeFatal, Lifecycle, UserError } from '@chainmail/runtime';
import { parseCommand, usage } from './command-line.ts';
import { runInjector } from './run-injector.ts';

/** Reviews in flight take milliseconds; what is left after this is stuck. */
const stopDeadlineMs = 5_000;

async function main(args: readonly string[]): Promise<void> {
  const command = parseCommand(args);
  if (command.help) {
    process.stdout.write(usage);
    return;
  }
  const log = createLogger({ component: 'injector', level: command.logLevel });
  const lifecycle = new Lifecycle(log);
  const { close } = await runInjector(command, { log });
  lifecycle.onStop('webhook', close);
  lifecycle.exitOnSignals(stopDeadlineMs);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chainmail-injector: ${describeFatal(error)}\n`);
  process.exitCode = error instanceof UserError && error.code === 'USAGE' ? 2 : 1;
});
