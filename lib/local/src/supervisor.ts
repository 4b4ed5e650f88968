/**
 * One local cluster: follows the user's folder, runs its pods, Services, DNS and control plane, and publishes what
 * is. Runs inside the node's network namespace and a mount namespace of its own.
 */
import fs from 'node:fs';
import { type KubeObject, type Loaded, type Watch, watchObjects, withOutOfSight } from '@chainmail/kube';
import { type Clock, type Logger, labels, trustBundleConfigMap } from '@chainmail/runtime';
import { addressPlan } from './address-plan.ts';
import { type Admission, admit } from './admission.ts';
import { run } from './command.ts';
import type { Component } from './component.ts';
import { type ComponentName, ControlPlane, type MeshOptions, webhookOf } from './control-plane.ts';
import { type DesiredState, desiredState } from './desired-state.ts';
import { type DevStatus, devPod } from './dev-status.ts';
import { type DnsServer, startDnsServer } from './dns-server.ts';
import { dnsZone } from './dns-zone.ts';
import { hostMounts } from './host-mounts.ts';
import { ObjectPublisher } from './object-publisher.ts';
import { ObjectUids } from './object-uids.ts';
import type { DataObject, NamedPod, Pod } from './pod.ts';
import { bridgeName, prepareNode } from './pod-network.ts';
import type { PodRunner } from './pod-runner.ts';
import { PodSet } from './pod-set.ts';
import type { RunPaths } from './run-paths.ts';
import { TokenIssuer } from './service-account-token.ts';
import { ServiceAddresses } from './service-addresses.ts';
import { ServiceSet } from './service-set.ts';

export interface SupervisorOptions {
  readonly paths: RunPaths;
  readonly dirs: readonly string[];
  readonly repository: string;
  /** Undefined runs the pods without injector, CA and control plane. */
  readonly mesh: MeshOptions | undefined;
  readonly clusterDomain: string;
  readonly clock: Clock;
  readonly log: Logger;
}

const tokenIssuer = (domain: string): string => `https://kubernetes.default.svc.${domain}`;
const upkeepMs = 5000;
/** At the end of everything nobody waits for slow applications. */
const finalGraceMs = 3000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #tokens: TokenIssuer;
  readonly #uids = new ObjectUids();
  readonly #pods: PodSet;
  readonly #services: ServiceSet;
  readonly #publisher: ObjectPublisher;
  readonly #controlPlane: ControlPlane | undefined;
  #loaded: Loaded = { objects: [], problems: [] };
  #desired: DesiredState = desiredState({ objects: [], problems: [] });
  #phase: DevStatus['phase'] = 'starting';
  #bundle: string | undefined;
  #dns: DnsServer | undefined;
  #watch: Watch | undefined;
  #upkeep: NodeJS.Timeout | undefined;
  #scheduled = false;
  #injectorAnswered = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { paths, clock, log, clusterDomain } = options;
    this.#tokens = new TokenIssuer({ issuer: tokenIssuer(clusterDomain), nowMs: () => clock.now() });
    this.#services = new ServiceSet(new ServiceAddresses(paths.addresses), log);
    this.#publisher = new ObjectPublisher(paths.objects);
    this.#controlPlane = this.#makeControlPlane();
    this.#pods = new PodSet({
      clock,
      log,
      nodeName: paths.nodeNetns,
      podHost: {
        ...{ clock, log, paths, repository: options.repository, domain: clusterDomain },
        hostMounts: hostMounts(fs.readFileSync('/proc/self/mountinfo', 'utf8')),
        objects: {
          configMap: (ns, name) => this.#configMap(ns, name),
          secret: (ns, name) => this.#desired.secrets.get(`${ns}/${name}`),
          token: (pod, audience, seconds) => this.#token(pod, audience, seconds),
        },
        onChange: () => this.#soon(),
      },
      admit: (pod) => this.#admit(pod),
      mustBeAdmitted: (pod) => this.#mustBeAdmitted(pod),
      hasServiceAccount: (ns, name) => name === 'default' || this.#desired.serviceAccounts.has(`${ns}/${name}`),
      deploymentUid: (d) => this.#uids.of(d),
      onChange: () => this.#soon(),
    });
  }

  async start(): Promise<void> {
    const { paths, dirs, clusterDomain } = this.#options;
    await prepareNode();
    const zone = (): ReturnType<typeof dnsZone> => dnsZone(this.#services.all, clusterDomain);
    this.#dns = await startDnsServer([addressPlan.nodeV4, addressPlan.nodeV6], 53, (q) => zone()(q));
    this.#watch = watchObjects(dirs, (loaded) => this.#load(loaded));
    this.#publish();
    this.#upkeep = setInterval(() => this.#housekeeping(), upkeepMs);
    fs.mkdirSync(paths.logs, { recursive: true, mode: 0o755 });
    await this.#controlPlane?.start();
    if (this.#controlPlane !== undefined) this.#watchBundle();
    // Who sees that it runs must see its pods as well, or would take a cluster without any for ready.
    this.#pods.reconcile(this.#desired);
    this.#phase = 'running';
    this.#soon();
  }

  async stop(): Promise<void> {
    this.#phase = 'stopping';
    this.#watch?.close();
    clearInterval(this.#upkeep);
    fs.unwatchFile(this.#options.paths.bundle);
    await this.#pods.stopAll(finalGraceMs);
    await this.#controlPlane?.stop();
    this.#dns?.close();
  }

  status(): DevStatus {
    const { paths, dirs, mesh } = this.#options;
    return {
      name: paths.name,
      phase: this.#phase,
      pid: process.pid,
      dirs,
      runDir: paths.dir,
      nodeNetns: paths.nodeNetns,
      bridge: bridgeName,
      meshed: mesh !== undefined,
      components: this.#controlPlane?.statuses() ?? [],
      pods: this.#pods.views().map(devPod),
      services: this.#services.all.map(({ service }) => ({
        namespace: service.metadata.namespace ?? 'default',
        name: service.metadata.name ?? '',
        clusterIPs: service.spec.clusterIPs ?? [],
      })),
      problems: this.#desired.problems,
    };
  }

  runner(key: string): PodRunner | undefined {
    return this.#pods.runner(key);
  }

  pods(): readonly NamedPod[] {
    return this.#pods.views().map((v) => v.pod);
  }

  component(name: ComponentName): Component | undefined {
    return this.#controlPlane?.component(name);
  }

  #makeControlPlane(): ControlPlane | undefined {
    const { mesh, paths, dirs, repository, clock, clusterDomain } = this.#options;
    if (mesh === undefined) return undefined;
    return new ControlPlane({
      setting: { paths, dirs, mesh, issuer: tokenIssuer(clusterDomain) },
      repository,
      clock,
      tokens: this.#tokens,
      serviceAccountUid: (ns, name) => this.#accountUid(ns, name),
    });
  }

  #load(loaded: Loaded): void {
    this.#loaded = withOutOfSight(loaded, this.#loaded.objects);
    this.#desired = desiredState(this.#loaded);
    for (const p of this.#desired.problems) {
      this.#options.log.warn({ file: p.origin.file, line: p.origin.line }, p.reason);
    }
    for (const runner of this.#pods.runners()) runner.refreshVolumes();
    this.#soon();
  }

  #housekeeping(): void {
    for (const runner of this.#pods.runners()) runner.trimLogs();
    this.#controlPlane?.trimLogs();
  }

  /** Many changes in one turn become one pass. */
  #soon(): void {
    if (this.#scheduled || this.#phase === 'stopping') return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#phase === 'stopping') return;
      this.#pods.reconcile(this.#desired);
      this.#publish();
    });
  }

  #publish(): void {
    const pods = this.#pods.views().map((v) => v.pod);
    this.#services.update(this.#desired.services.values(), pods);
    const accounts = new Map(this.#desired.serviceAccounts);
    for (const ns of this.#desired.namespaces.keys()) {
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: ns } };
      if (!accounts.has(`${ns}/default`)) accounts.set(`${ns}/default`, account);
    }
    const named: readonly KubeObject[] = [
      ...this.#desired.namespaces.values(),
      ...accounts.values(),
      ...this.#services.all.flatMap((s) => [s.service, ...s.slices]),
    ];
    this.#publisher.publish([...named.map((o) => this.#uids.add(o)), ...pods]);
  }

  #configMap(namespace: string, name: string): DataObject | undefined {
    if (name !== trustBundleConfigMap.name) return this.#desired.configMaps.get(`${namespace}/${name}`);
    if (this.#bundle === undefined) return undefined;
    const metadata = { name, namespace };
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [trustBundleConfigMap.key]: this.#bundle } };
  }

  #watchBundle(): void {
    const { bundle } = this.#options.paths;
    const read = (): void => {
      if (!fs.existsSync(bundle)) return;
      this.#bundle = fs.readFileSync(bundle, 'utf8');
      for (const runner of this.#pods.runners()) runner.refreshVolumes();
    };
    read();
    fs.watchFile(bundle, { interval: 250 }, read);
  }

  #token(pod: NamedPod, audience: string | undefined, expirationSeconds: number): string {
    const { namespace, name, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName ?? 'default';
    return this.#tokens.mint({
      namespace,
      serviceAccount: { name: account, uid: this.#accountUid(namespace, account) },
      audience: audience ?? this.#tokens.issuer,
      expirationSeconds,
      pod: { name, uid },
    }).token;
  }

  #accountUid(namespace: string, name: string): string {
    return this.#uids.of({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } });
  }

  #admit(pod: Pod): Promise<Admission> {
    if (this.#options.mesh === undefined) return Promise.resolve({ kind: 'allowed', pod, warnings: [] });
    if (this.#bundle === undefined) return Promise.resolve({ kind: 'unavailable', message: 'waiting for the CA' });
    return this.#askInjector(pod);
  }

  async #askInjector(pod: Pod): Promise<Admission> {
    const outcome = await admit(pod, webhookOf(this.#options.paths));
    if (outcome.kind !== 'unavailable') this.#injectorAnswered = true;
    else if (!this.#injectorAnswered) return { kind: 'unavailable', message: 'waiting for the injector' };
    return outcome;
  }

  /** failurePolicy Fail where the mesh is wanted; and for everybody while the control plane is coming up. */
  #mustBeAdmitted(pod: Pod): boolean {
    if (this.#options.mesh === undefined) return false;
    const namespace = this.#desired.namespaces.get(pod.metadata.namespace ?? 'default');
    const wants = [namespace?.metadata.labels, pod.metadata.labels, pod.metadata.annotations];
    return this.#phase === 'starting' || wants.some((l) => l?.[labels.inject] !== undefined);
  }
}

/** The supervisor's own tmpfs: volumes and tokens in memory, gone with the last process that sees it. */
export async function mountPrivate(paths: RunPaths): Promise<void> {
  fs.mkdirSync(paths.private, { recursive: true, mode: 0o700 });
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=0700,nosuid', 'chainmail', paths.private]);
}
