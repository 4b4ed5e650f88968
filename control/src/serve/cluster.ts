/** Control in a cluster: objects from the API server, statuses back to it by one leading replica. */
import os from 'node:os';
import { ApiClient, type ClusterAccess, LeaderElection } from '@chainmail/kube/cluster';
import { type Lifecycle, type Logger, system, systemClock } from '@chainmail/runtime';
import { kubeSource } from '../source/kube-source.ts';
import { KubeStatus } from '../status/kube-status.ts';
import { ReplicaCounts } from '../status/replica-counts.ts';
import type { SourceFigures } from './metrics-server.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** What it opened is closed with the lifecycle. @throws UserError KUBE_CREDENTIALS */
export function openCluster(access: ClusterAccess, life: Lifecycle, log: Logger) {
  const clock = systemClock;
  const client = new ApiClient(access, clock);
  life.onStop('API client', () => client.close());
  const source = kubeSource({ client, clock, log });
  const replica = process.env['POD_NAME'] || `${os.hostname()}-${process.pid}`;
  let lead = (): void => {};
  const election = new LeaderElection({
    client,
    namespace: system.namespace,
    name: system.controlServiceAccount,
    identity: replica,
    clock,
    log,
    onChange: () => lead(),
  });
  const replicas = new ReplicaCounts({ client, replica, clock, log, onChange: () => statusSink.again() });
  const isLeader = (): boolean => election.isLeader;
  const statusSink: KubeStatus = new KubeStatus({ client, source, isLeader, replicas, clock, log });
  life.onStop('replicas', () => replicas.close());
  replicas.start();
  life.onStop('leader election', () => election.stop());
  life.onStop('status', () => statusSink.close());
  election.start();
  log.info({ server: client.server }, 'objects come from the API server');
  const figures = (): SourceFigures => {
    const all = Object.values(source.figures());
    return {
      leader: election.isLeader,
      lists: sum(all.map((f) => f.lists)),
      failures: sum(all.map((f) => f.failures)),
      interrupted: all.filter((f) => !f.live).length,
      statusesWritten: statusSink.counts.written,
      statusesFailed: statusSink.counts.failed,
    };
  };
  return {
    source,
    statusSink,
    figures,
    onLead: (call: () => void) => {
      lead = call;
      if (election.isLeader) call();
    },
  };
}
