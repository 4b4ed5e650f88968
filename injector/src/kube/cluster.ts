/** The injector in a cluster: labels of namespaces, its webhook configuration, events. */
import { ApiClient, type ClusterAccess } from '@chainmail/kube/cluster';
import type { Clock, Logger } from '@chainmail/runtime';
import { CaBundleKeeper } from './ca-bundle-keeper.ts';
import { EventWriter } from './events.ts';
import { namespacesOfServer } from './namespaces.ts';

export interface ClusterOptions {
  readonly access: ClusterAccess;
  /** Absent: the caBundle is somebody else's business. */
  readonly configuration: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** What API servers trust may have changed. */
  readonly onTrust: () => void;
}

export type InjectorCluster = ReturnType<typeof openCluster>;

/** @throws UserError KUBE_CREDENTIALS */
export function openCluster({ access, configuration, clock, log, onTrust }: ClusterOptions) {
  const client = new ApiClient(access, clock);
  const namespaces = namespacesOfServer(client, clock, log);
  const keeper =
    configuration === undefined
      ? undefined
      : new CaBundleKeeper({ client, name: configuration, clock, log, onChange: onTrust });
  keeper?.start();
  log.info({ server: client.server }, 'namespaces come from the API server');
  return {
    namespaces,
    keeper,
    events: new EventWriter(client, clock, log),
    close: () => {
      keeper?.stop();
      namespaces.close();
      client.close();
    },
  };
}
