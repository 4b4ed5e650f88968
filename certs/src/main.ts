/** The command chainmail-ca. Exit codes: 0 stopped on a signal or done, 1 failed, 2 wrong command line. */
import { createLogger, describeFatal, Lifecycle, systemClock, UserError } from '@chainmail/runtime';
import { FolderStore } from './folder-store.ts';
import { JwksAttestor } from './jwks-attestor.ts';
import { help, parseOptions, type ServeOptions } from './options.ts';
import { runRootCommand } from './root-command.ts';
import { startCa } from './serve.ts';

async function serve(options: ServeOptions): Promise<void> {
  const { stateDir, jwksPath, issuer, podsDir, bundleFile, metricsListen, trustDomain, listen, ttl, logLevel } =
    options;
  const clock = systemClock;
  const log = createLogger({ component: 'ca', level: logLevel });
  const lifecycle = new Lifecycle(log);
  lifecycle.exitOnSignals(5000);
  const ca = await startCa({
    store: new FolderStore(stateDir),
    attestor: new JwksAttestor({ jwksPath, issuer, clock, ...(podsDir === undefined ? {} : { podsDir }) }),
    ...(bundleFile === undefined ? {} : { bundleFile }),
    ...(metricsListen === undefined ? {} : { metricsListen }),
    ...{ trustDomain, listen, ttl, clock, log },
  });
  lifecycle.onStop('server', () => ca.close());
}

async function main(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv);
  switch (options.command) {
    case 'help':
      process.stdout.write(help);
      return;
    case 'root':
      process.stdout.write(`${await runRootCommand(options, new FolderStore(options.stateDir), systemClock)}\n`);
      return;
    case 'serve':
      await serve(options);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`chainmail-ca: ${describeFatal(error)}\n`);
  process.exit(error instanceof UserError && ['USAGE', 'BAD_DURATION'].includes(error.code) ? 2 : 1);
}
