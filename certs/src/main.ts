/** The command chainmail-ca. Exit codes: 0 stopped on a signal or done, 1 failed, 2 wrong command line. */
import { createLogger, describeFatal, Lifecycle, type Logger, systemClock, UserError } from '@chainmail/runtime';
import { FolderStore } from './folder-store.ts';
import { JwksAttestor } from './jwks-attestor.ts';
import { help, parseOptions, type RootOptions, type ServeOptions } from './options.ts';
import { runRootCommand } from './root-command.ts';
import { startCa } from './serve.ts';
import type { CaStore } from './store.ts';

const stopDeadlineMs = 5000;
/** In a cluster, other processes hear within this time that the replica is leaving. */
const endpointLagMs = 5000;

/** What the CA is backed by: files, or an API server, whose library a folder does not need. */
async function open(backing: ServeOptions['backing'], life: Lifecycle, log: Logger) {
  if (backing.kind === 'kubernetes') {
    const { openCluster } = await import('./kube/open.ts');
    return openCluster(backing, life, log);
  }
  const { stateDir, jwksPath, issuer, podsDir } = backing;
  const pods = podsDir === undefined ? {} : { podsDir };
  return {
    store: new FolderStore(stateDir),
    attestor: new JwksAttestor({ jwksPath, issuer, clock: systemClock, ...pods }),
  };
}

async function openStore({ backing }: RootOptions): Promise<CaStore> {
  if (backing.kind === 'folder') return new FolderStore(backing.stateDir);
  const { openSecretStore } = await import('./kube/open.ts');
  return openSecretStore(backing);
}

async function serve(options: ServeOptions): Promise<void> {
  const { backing, bundleFile, metricsListen, trustDomain, listen, ttl, logLevel } = options;
  const log = createLogger({ component: 'ca', level: logLevel });
  const lifecycle = new Lifecycle(log);
  const inCluster = backing.kind === 'kubernetes';
  lifecycle.exitOnSignals(inCluster ? stopDeadlineMs + endpointLagMs : stopDeadlineMs);
  const ca = await startCa({
    ...(await open(backing, lifecycle, log)),
    ...(bundleFile === undefined ? {} : { bundleFile }),
    ...(metricsListen === undefined ? {} : { metricsListen }),
    ...{ trustDomain, listen, ttl, clock: systemClock, log },
  });
  lifecycle.onStop('server', () => ca.close());
  if (!inCluster) return;
  lifecycle.onStop('endpoint lag', () => {
    ca.leave();
    return new Promise((done) => setTimeout(done, endpointLagMs));
  });
}

/** What an API server said is for the user, not a bug. Known by its name: its module is heavy. */
function withoutStack(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'ApiError') return error;
  return new UserError('KUBE_API', error.message, { cause: error });
}

async function main(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv);
  switch (options.command) {
    case 'help':
      process.stdout.write(help);
      return;
    case 'root':
      process.stdout.write(`${await runRootCommand(options, await openStore(options), systemClock)}\n`);
      return;
    case 'serve':
      await serve(options);
  }
}

try {
  await main(process.argv.slice(2));
} catch (thrown) {
  const error = withoutStack(thrown);
  process.stderr.write(`chainmail-ca: ${describeFatal(error)}\n`);
  process.exit(error instanceof UserError && ['USAGE', 'BAD_DURATION'].includes(error.code) ? 2 : 1);
}
