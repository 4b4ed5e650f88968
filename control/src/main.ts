/** chainmail-control: reads the command line, holds an identity of its own, serves until it is told to stop. */
import { WorkloadIdentity } from '@chainmail/pki';
import { createLogger, describeFatal, Lifecycle, system, systemClock, UserError } from '@chainmail/runtime';
import { createCaSigner, followBundleFile } from '@chainmail/xds/grpc';
import { startControlPlane } from './serve/control-plane.ts';
import { type ControlOptions, parseOptions, usage } from './serve/options.ts';
import { fileSource } from './source/source.ts';
import { StatusDir } from './status/status-dir.ts';

const stopDeadlineMs = 5000;
/** In a cluster, other processes hear within this time that the replica is leaving. */
const endpointLagMs = 5000;

/** Where objects come from and where statuses go. */
async function outside(options: ControlOptions, log: ReturnType<typeof createLogger>, life: Lifecycle) {
  const { kubernetes, sources, statusDir } = options;
  if (kubernetes === undefined) {
    const statusSink = statusDir === undefined ? undefined : new StatusDir(statusDir, log);
    return { source: fileSource(sources), statusSink, onLead: () => {} };
  }
  const { openCluster } = await import('./serve/cluster.ts'); // costs 80 MB, which a folder does not need
  return openCluster(kubernetes, life, log);
}

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
  life.exitOnSignals(options.kubernetes === undefined ? stopDeadlineMs : stopDeadlineMs + endpointLagMs);
  identity.start();
  const { listen, metricsListen, trustDomain, kubernetes } = options;
  const clock = systemClock;
  life.onStop('bundle', followBundleFile({ path: options.trustBundle, trustDomain, identity, clock, log }));
  const { onLead, ...ends } = await outside(options, log, life);
  const plane = await startControlPlane({ ...ends, identity, trustDomain, listen, metricsListen, clock, log });
  life.onStop('control plane', () => plane.close());
  onLead(() => plane.refresh());
  if (kubernetes !== undefined) {
    life.onStop('endpoint lag', () => {
      plane.leave();
      return new Promise((done) => setTimeout(done, endpointLagMs));
    });
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chainmail-control: ${describeFatal(error)}\n`);
  process.exit(error instanceof UserError && error.code === 'USAGE' ? 2 : 1);
});
