/** The choice of one host among equals. A new balancer is one file, one line here, and one line in its contract suite. */
import type { ClusterSpec } from '../model/cluster.ts';
import type { ClusterHost } from './host.ts';
import { LeastRequest } from './least-request.ts';
import { RandomChoice } from './random-choice.ts';
import { RoundRobin } from './round-robin.ts';

export interface Balancer {
  /** A new list to choose from; never empty when pick is called. */
  setHosts(hosts: readonly ClusterHost[]): void;
  pick(): ClusterHost | undefined;
}

export interface BalancerOptions {
  readonly lb: ClusterSpec['lb'];
  /** least_request: how many hosts are looked at. */
  readonly choices: number;
  /** [0, 1) */
  readonly random: () => number;
}

export function createBalancer({ lb, choices, random }: BalancerOptions): Balancer {
  switch (lb) {
    case 'round_robin':
    case 'cluster_provided':
      return new RoundRobin(random);
    case 'least_request':
      return new LeastRequest(random, choices);
    case 'random':
      return new RandomChoice(random);
  }
}
