/** chainmail-control: reads the command line, holds an identity of its own, serves until it is told to stop. */
import { WorkloadIdentity } from '@chainmail/pki';
import { createLogger, describeFatal, Lifecycle, system, systemClock, UserError } from '@chainmail/runtime';
import { createCaSigner, followBundleFile } from '@chainmail/xds/grpc';
import { startControlPlane } from './serve/control-plane.ts';
import { type ControlOptions, parseOptions, usage } from './serve/options.ts';
import { fileSource } from './source/source.ts';

const stopDeadlineMs = 5000;

function createIdentity(options: ControlOptions, log: ReturnType<typeof createLogger>): WorkloadIdentity {
  const { trustDomain, certificateTtlSeconds } = options;
  const signer = createCaSigner({
    address: options.ca,
    trustDomain,
    trustBundle: { path: options.trustBundle },
    tokenPath: options.tokenFile,
  });
  return new WorkloadIdentity({
    signer,
    trustDomain,
    expectedId: `spiffe://${trustDomain}/ns/${system.namespace}/sa/${system.controlServiceAccount}`,
    ...(certificateTtlSeconds === undefined ? {} : { ttlSeconds: certificateTtlSeconds }),
    log,
  });
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options === 'help') {
    process.stdout.write(usage);
    return;
  }
  const log = createLogger({ component: 'control', level: options.logLevel });
  const life = new Lifecycle(log);
  const identity = createIdentity(options, log);
  life.onStop('identity', () => identity.stop());
  identity.start();
  const { listen, metricsListen, trustDomain, statusDir } = options;
  const clock = systemClock;
  life.onStop('bundle', followBundleFile({ path: options.trustBundle, trustDomain, identity, clock, log }));
  const source = fileSource(options.sources);
  const plane = await startControlPlane({
    source,
    identity,
    trustDomain,
    listen,
    metricsListen,
    statusDir,
    clock,
    log,
  });
  life.onStop('control plane', () => plane.close());
  life.exitOnSignals(stopDeadlineMs);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chainmail-control: ${describeFatal(error)}\n`);
  process.exit(error instanceof UserError && error.code === 'USAGE' ? 2 : 1);
});
