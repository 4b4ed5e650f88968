/** chainmail-injector: the process. */
import { createLogger, describeFatal, Lifecycle, UserError } from '@chainmail/runtime';
import { parseCommand, usage } from './command-line.ts';
import { runInjector } from './run-injector.ts';

/** Reviews in flight take milliseconds; what is left after this is stuck. */
const stopDeadlineMs = 5_000;
/** In a cluster, API servers hear within this time that the replica is leaving. */
const endpointLagMs = 5_000;

async function main(args: readonly string[]): Promise<void> {
  const command = parseCommand(args);
  if (command.help) {
    process.stdout.write(usage);
    return;
  }
  const log = createLogger({ component: 'injector', level: command.logLevel });
  const lifecycle = new Lifecycle(log);
  const { leave, close } = await runInjector(command, { log });
  lifecycle.onStop('webhook', close);
  const inCluster = command.kubernetes !== undefined;
  if (inCluster) {
    lifecycle.onStop('endpoint lag', () => {
      leave();
      return new Promise((done) => setTimeout(done, endpointLagMs));
    });
  }
  lifecycle.exitOnSignals(inCluster ? stopDeadlineMs + endpointLagMs : stopDeadlineMs);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chainmail-injector: ${describeFatal(error)}\n`);
  process.exitCode = error instanceof UserError && error.code === 'USAGE' ? 2 : 1;
});
