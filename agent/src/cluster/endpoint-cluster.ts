/** A cluster with a list of endpoints, from configuration, EDS or DNS: balancing, health, outlier detection. */
import type { ClusterSpec, EndpointSpec, EndpointsSpec } from '../model/cluster.ts';
import type { Stream, StreamHandler } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { createBalancer } from './balancer.ts';
import { BaseCluster } from './base-cluster.ts';
import type { Host, Outcome, Pick, PickContext } from './cluster.ts';
import { type CheckedCluster, HealthChecker } from './health-check.ts';
import { ClusterHost, hostKey, tlsOf } from './host.ts';
import { HostLists } from './host-lists.ts';
import { OutlierDetector } from './outlier-detector.ts';

const noneHealthy: Pick = { kind: 'none-healthy' };

export class EndpointCluster extends BaseCluster {
  #hosts: readonly ClusterHost[] = [];
  #endpoints: readonly EndpointSpec[] = [];
  #lists: HostLists;
  #outlier: OutlierDetector | null;
  #checker: HealthChecker | null;

  constructor(spec: ClusterSpec, runtime: WorkerRuntime) {
    super(spec, runtime);
    this.#lists = this.#newLists();
    this.#outlier = this.#newDetector(spec);
    this.#checker = this.#newChecker(spec);
  }

  pick(context: PickContext): Pick {
    const host = this.#lists.pick(context.tried, this.runtime.random, context.hash ?? null);
    if (host === null) {
      this.count(clusterStat.at.upstream_cx_none_healthy);
      return noneHealthy;
    }
    if (this.#lists.panic) this.count(clusterStat.at.lb_healthy_panic);
    return host.picked;
  }

  override record(host: Host, outcome: Outcome): void {
    super.record(host, outcome);
    if (host instanceof ClusterHost) this.#outlier?.record(host, outcome);
  }

  override update(spec: ClusterSpec): void {
    const before = this.spec;
    super.update(spec);
    if (isOtherBalancing(spec, before)) this.#lists = this.#newLists();
    if (spec.outlier === null) {
      this.#outlier?.close();
      this.#outlier = null;
    } else if (this.#outlier === null) {
      this.#outlier = this.#newDetector(spec);
    } else {
      this.#outlier.update(spec.outlier);
    }
    if (JSON.stringify(spec.healthCheck ?? null) !== JSON.stringify(before.healthCheck ?? null)) {
      this.#checker?.close();
      this.#checker = this.#newChecker(spec);
    }
    this.#adopt();
  }

  setEndpoints(endpoints: EndpointsSpec): void {
    this.#endpoints = endpoints.endpoints;
    this.#adopt();
  }

  close(): void {
    this.#outlier?.close();
    this.#checker?.close();
    this.#checker = null;
    for (const host of this.#hosts) host.retire();
    this.#hosts = [];
    this.#endpoints = [];
    this.#refresh();
  }

  protected hosts(): readonly ClusterHost[] {
    return this.#hosts;
  }

  #newLists(): HostLists {
    const { lb, leastRequestChoices: choices, hashing = null } = this.spec;
    return new HostLists(() => createBalancer({ lb, choices, hashing, random: this.runtime.random }));
  }

  #newDetector(spec: ClusterSpec): OutlierDetector | null {
    if (spec.outlier === null) return null;
    const owner = { hosts: () => this.#hosts, onEjectionsChanged: () => this.#refresh() };
    return new OutlierDetector(spec.outlier, owner, this.runtime, spec.stats);
  }

  #newChecker(spec: ClusterSpec): HealthChecker | null {
    if (!spec.healthCheck) return null;
    const owner: CheckedCluster = {
      hosts: () => this.#hosts,
      dial: (host, timeoutMs, handler) => this.#dialCheck(host, timeoutMs, handler),
      onHealthChanged: () => this.#refresh(),
      onPassed: (host) => this.#outlier?.passedCheck(host),
    };
    return new HealthChecker(spec.healthCheck, owner, this.runtime, spec.stats);
  }

  #dialCheck(host: ClusterHost, connectTimeoutMs: number, handler: StreamHandler): Stream {
    const { bindV4, bindV6, tcpKeepalive: keepalive, bufferLimitBytes } = this.spec;
    const { address, tls } = host;
    const sni = tls?.sni ?? '';
    const bind = address.ip.includes(':') ? bindV6 : bindV4;
    const options = { address, tls, sni, connectTimeoutMs, bufferLimitBytes, bind, keepalive, target: this.name };
    return this.runtime.dial(options, handler);
  }

  /** Hosts with the same key stay the same objects, with their pools and their past; an endpoint named twice is one. */
  #adopt(): void {
    const before = new Map(this.#hosts.map((host) => [host.key, host]));
    const after = new Map<string, ClusterHost>();
    for (const endpoint of this.#endpoints) {
      const tls = tlsOf(this.spec, endpoint);
      const key = hostKey(endpoint, tls);
      if (after.has(key)) continue;
      const host = before.get(key) ?? new ClusterHost(key, endpoint, tls);
      host.endpoint = endpoint;
      after.set(key, host);
    }
    const gone = this.#hosts.filter((host) => !after.has(host.key));
    const changed = gone.length > 0 || after.size !== before.size;
    this.#hosts = [...after.values()];
    for (const host of gone) {
      this.#outlier?.forget(host);
      host.retire();
    }
    if (changed) this.count(clusterStat.at.membership_change);
    this.#checker?.follow(this.#hosts);
    this.#refresh();
  }

  #refresh(): void {
    this.#lists.rebuild(this.#hosts, this.spec.panicThreshold);
    this.showMembership(this.#hosts.length, this.#lists.healthyCount);
  }
}

function isOtherBalancing(a: ClusterSpec, b: ClusterSpec): boolean {
  const hashing = (spec: ClusterSpec): string => JSON.stringify(spec.hashing ?? null);
  return a.lb !== b.lb || a.leastRequestChoices !== b.leastRequestChoices || hashing(a) !== hashing(b);
}
