/** Assembly of chainmail-injector: its own identity from the CA, the namespaces, the webhook, the port. */
import fs from 'node:fs';
import { type CsrSigner, formatSpiffeId, type IdentityEvent, WorkloadIdentity, workloadId } from '@chainmail/pki';
import { type Clock, type Closer, type Logger, messageOf, system, systemClock, UserError } from '@chainmail/runtime';
import { createCaSigner } from '@chainmail/xds/grpc';
import type { InjectorCommand } from './command-line.ts';
import { Counters } from './counters.ts';
import { namespacesInFolder, selectedByServer } from './namespaces.ts';
import { SecureServer } from './secure-server.ts';
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
  readonly close: Closer;
}

/**
 * Listens at once; reviews are answered as soon as the CA has given a certificate, and each new one is taken up.
 * @throws UserError VALUES_INVALID or VALUES_UNREADABLE, LISTEN_FAILED
 */
export async function runInjector(command: InjectorCommand, surroundings: Surroundings): Promise<RunningInjector> {
  const { log } = surroundings;
  const values = readValues(command.valuesFile);
  const identity = ownIdentity(command, values, surroundings);
  const namespaces = command.namespacesDir === undefined ? selectedByServer : namespacesInFolder(command.namespacesDir);
  const webhook = createWebhook({
    values,
    namespace: namespaces.find,
    counters: new Counters(),
    log,
    certificateExpiryMs: () => identity.current()?.notAfterMs,
  });
  const server = new SecureServer(webhook);
  identity.subscribe((event) => serveWith(server, event));
  const port = await listen(server, command);
  identity.start();
  log.info({ host: command.listen.host, port }, 'listening');
  const close = async (): Promise<void> => {
    identity.stop();
    namespaces.close();
    await server.close();
  };
  return { port, close };
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

function serveWith(server: SecureServer, event: IdentityEvent): void {
  if (event.type === 'rotated') server.setCertificate(event.material);
  else if (event.type === 'expired') server.setCertificate(undefined);
}

async function listen(server: SecureServer, { listen: { host, port } }: InjectorCommand): Promise<number> {
  try {
    return await server.listen(host, port);
  } catch (cause) {
    throw new UserError('LISTEN_FAILED', `cannot listen on ${host} port ${port}: ${messageOf(cause)}`, { cause });
  }
}
