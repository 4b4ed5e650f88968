/** Assembly of chainmail-injector: its own identity from the CA, the namespaces, the webhook, the port. */
import fs from 'node:fs';
import { type CsrSigner, formatSpiffeId, WorkloadIdentity, workloadId } from '@chainmail/pki';
import { type Clock, type Closer, type Logger, messageOf, system, systemClock, UserError } from '@chainmail/runtime';
import { createCaSigner, followBundleFile } from '@chainmail/xds/grpc';
import type { InjectorCommand } from './command-line.ts';
import { Counters } from './counters.ts';
import type { InjectorCluster } from './kube/cluster.ts';
import { namespacesInFolder, selectedByServer } from './namespaces.ts';
import { SecureServer } from './secure-server.ts';
import { Serving } from './serving.ts';
import { type AgentValues, parseValues } from './values.ts';
import { createWebhook } from './webhook.ts';

/** What the process takes from outside itself. */
export interface Surroundings {
  readonly log: Logger;
  readonly clock?: Clock;
  /** The CA of the command line by default. */
  readonly signer?: CsrSigner;
}

export interface RunningInjector {
  readonly port: number;
  /** Not ready from now on, while reviews are still answered. */
  readonly leave: () => void;
  readonly close: Closer;
}

/** Reviews take milliseconds; what is left after this is stuck. */
const closeGraceMs = 2000;

/**
 * Listens at once; reviews are answered as soon as the CA has given a certificate that API servers trust, and each new
 * one is taken up.
 * @throws UserError VALUES_INVALID or VALUES_UNREADABLE, KUBE_CREDENTIALS, LISTEN_FAILED
 */
export async function runInjector(command: InjectorCommand, surroundings: Surroundings): Promise<RunningInjector> {
  const { log, clock = systemClock } = surroundings;
  const values = readValues(command.valuesFile);
  const identity = ownIdentity(command, values, surroundings);
  let onTrust = (): void => {};
  const cluster = await openCluster(command, clock, log, () => onTrust());
  const namespaces = cluster?.namespaces ?? namespacesOf(command);
  let leaving = false;
  const whyNotReady = (): string | undefined => {
    if (leaving) return 'leaving';
    if (cluster !== undefined && !cluster.namespaces.synced()) return 'waiting for the namespaces';
    return serving.whyNot;
  };
  const webhook = createWebhook({
    values,
    namespace: namespaces.find,
    counters: new Counters(),
    log,
    certificateExpiryMs: () => serving.expiryMs,
    whyNotReady,
    isLeaving: () => leaving,
    ...(cluster === undefined
      ? {}
      : {
          prepare: cluster.namespaces.prepare,
          onReviewed: (r) => cluster.events.tell(r),
          moreMetrics: () => clusterMetrics(cluster),
        }),
  });
  const server = new SecureServer(webhook);
  const serving = new Serving(server, cluster?.keeper);
  onTrust = () => serving.switch();
  identity.subscribe((event) => serving.take(event));
  const port = await listen(server, command);
  identity.start();
  const { trustBundleFile } = command;
  const follow = { path: trustBundleFile, trustDomain: values.trustDomain, identity, clock, log };
  const stopFollowing = cluster === undefined ? () => {} : followBundleFile(follow);
  log.info({ host: command.listen.host, port }, 'listening');
  const close = async (): Promise<void> => {
    leaving = true;
    stopFollowing();
    await server.close(closeGraceMs);
    identity.stop();
    if (cluster === undefined) namespaces.close();
    else cluster.close();
  };
  return {
    port,
    leave: () => {
      leaving = true;
    },
    close,
  };
}

/** An API server, whose library a folder does not need, or none. */
async function openCluster(
  { kubernetes, webhookConfiguration }: InjectorCommand,
  clock: Clock,
  log: Logger,
  onTrust: () => void,
): Promise<InjectorCluster | undefined> {
  if (kubernetes === undefined) return undefined;
  const { openCluster: open } = await import('./kube/cluster.ts');
  return open({ access: kubernetes, configuration: webhookConfiguration, clock, log, onTrust });
}

function namespacesOf({ namespacesDir }: InjectorCommand) {
  return namespacesDir === undefined ? selectedByServer : namespacesInFolder(namespacesDir);
}

function clusterMetrics({ keeper }: InjectorCluster): string {
  if (keeper === undefined) return '';
  const { written, failed } = keeper.counts;
  return [
    '# HELP chainmail_injector_ca_bundle_writes_total Times the caBundle was published.',
    '# TYPE chainmail_injector_ca_bundle_writes_total counter',
    `chainmail_injector_ca_bundle_writes_total ${written}`,
    '# HELP chainmail_injector_ca_bundle_failures_total Attempts to publish it that failed.',
    '# TYPE chainmail_injector_ca_bundle_failures_total counter',
    `chainmail_injector_ca_bundle_failures_total ${failed}\n`,
  ].join('\n');
}

function readValues(file: string): AgentValues {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UserError('VALUES_UNREADABLE', `--values ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseValues(text);
}

function ownIdentity(command: InjectorCommand, values: AgentValues, surroundings: Surroundings): WorkloadIdentity {
  const { trustDomain } = values;
  const { log, clock = systemClock, signer = caOf(command, values) } = surroundings;
  const expectedId = systemId(values, system.injectorServiceAccount);
  return new WorkloadIdentity({ signer, trustDomain, expectedId, log, clock });
}

function caOf({ caAddress, trustBundleFile, tokenFile }: InjectorCommand, values: AgentValues): CsrSigner {
  return createCaSigner({
    address: caAddress,
    trustDomain: values.trustDomain,
    trustBundle: { path: trustBundleFile },
    tokenPath: tokenFile,
    caId: systemId(values, system.caServiceAccount),
  });
}

function systemId({ trustDomain, systemNamespace }: AgentValues, serviceAccount: string): string {
  return formatSpiffeId(workloadId(trustDomain, systemNamespace, serviceAccount));
}

async function listen(server: SecureServer, { listen: { host, port } }: InjectorCommand): Promise<number> {
  try {
    return await server.listen(host, port);
  } catch (cause) {
    throw new UserError('LISTEN_FAILED', `cannot listen on ${host} port ${port}: ${messageOf(cause)}`, { cause });
  }
}
