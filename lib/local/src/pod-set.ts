/**
 * The pods that run, held against those that should: admits, starts, replaces and removes. Invariant: a name belongs
 * to one pod at a time; a pod of a Deployment goes only when the plan says so.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type Clock, type Logger, messageOf } from '@chainmail/runtime';
import { addressAt, addressPlan, NumberPool } from './address-plan.ts';
import type { Admission } from './admission.ts';
import { planDeployment, podOf, templateHash } from './deployments.ts';
import type { DesiredState } from './desired-state.ts';
import { isReady } from './endpoints.ts';
import type { Deployment, NamedPod, Pod } from './pod.ts';
import { podKey } from './pod.ts';
import { type PodHost, PodRunner } from './pod-runner.ts';
import { podErrors } from './pod-validation.ts';

export interface PodSetHost {
  readonly clock: Clock;
  readonly log: Logger;
  readonly podHost: PodHost;
  readonly nodeName: string;
  readonly admit: (pod: Pod) => Promise<Admission>;
  /** Whether a pod may go without the injector's answer. */
  readonly mustBeAdmitted: (pod: Pod) => boolean;
  readonly hasServiceAccount: (namespace: string, name: string) => boolean;
  readonly deploymentUid: (deployment: Deployment) => string;
  readonly onChange: () => void;
}

interface Entry {
  readonly key: string;
  readonly source: Pod;
  readonly hash: string;
  readonly owner: string | undefined;
  readonly sequence: number;
  readonly uid: string;
  readonly createdAt: string;
  runner: PodRunner | undefined;
  problem: string | undefined;
  warned: readonly string[];
  removing: boolean;
}

export interface PodView {
  readonly key: string;
  readonly pod: NamedPod;
  readonly problem: string | undefined;
  readonly terminating: boolean;
}

const retryMs = 500;
const firstPodNumber = 16;

const digest = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 10);

/** Five letters and digits, as in the names that a ReplicaSet gives. */
const suffix = (): string => [...randomBytes(5)].map((b) => 'bcdfghjklmnpqrstvwxz2456789'[b % 27]).join('');

export class PodSet {
  readonly #host: PodSetHost;
  readonly #entries = new Map<string, Entry>();
  readonly #numbers = new NumberPool(firstPodNumber);
  #sequence = 0;
  #stopping = false;

  constructor(host: PodSetHost) {
    this.#host = host;
  }

  views(): PodView[] {
    return [...this.#entries.values()].map((e) => ({
      key: e.key,
      pod: e.runner?.pod ?? this.#pending(e),
      problem: e.problem,
      terminating: e.removing,
    }));
  }

  runner(key: string): PodRunner | undefined {
    return this.#entries.get(key)?.runner;
  }

  runners(): PodRunner[] {
    return [...this.#entries.values()].flatMap((e) => e.runner ?? []);
  }

  /** One step towards what is wanted; to be called again after each change. */
  reconcile(desired: DesiredState): void {
    if (this.#stopping) return;
    for (const [key, pod] of desired.pods) this.#reconcilePod(key, pod);
    for (const [key, deployment] of desired.deployments) this.#reconcileDeployment(key, deployment);
    for (const e of this.#entries.values()) {
      const wanted = e.owner === undefined ? desired.pods.has(e.key) : desired.deployments.has(e.owner);
      if (!wanted) this.#remove(e);
    }
  }

  async stopAll(maxGraceMs: number): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#entries.values()].map((e) => e.runner?.stop(maxGraceMs)));
  }

  #reconcilePod(key: string, pod: Pod): void {
    const hash = digest({ spec: pod.spec, labels: pod.metadata.labels, annotations: pod.metadata.annotations });
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#add(pod, hash, undefined);
    else if (entry.hash !== hash) this.#remove(entry);
  }

  #reconcileDeployment(key: string, deployment: Deployment): void {
    const hash = templateHash(deployment.spec.template);
    const owned = [...this.#entries.values()].filter((e) => e.owner === key);
    const plan = planDeployment(
      deployment.spec.replicas ?? 1,
      hash,
      owned.map((e) => ({
        name: e.key,
        hash: e.hash,
        ready: e.runner !== undefined && isReady(e.runner.pod),
        terminating: e.removing,
        sequence: e.sequence,
      })),
    );
    for (const name of plan.remove) {
      const entry = this.#entries.get(name);
      if (entry !== undefined) this.#remove(entry);
    }
    const named: Deployment = {
      ...deployment,
      metadata: { ...deployment.metadata, uid: this.#host.deploymentUid(deployment) },
    };
    for (let i = 0; i < plan.create; i++) this.#add(podOf(named, hash, suffix()), hash, key);
  }

  #add(pod: Pod, hash: string, owner: string | undefined): void {
    const key = podKey(pod);
    if (this.#entries.has(key)) return;
    const entry: Entry = {
      key,
      source: pod,
      hash,
      owner,
      sequence: this.#sequence++,
      uid: randomUUID(),
      createdAt: new Date(this.#host.clock.now()).toISOString(),
      runner: undefined,
      problem: undefined,
      warned: [],
      removing: false,
    };
    this.#entries.set(key, entry);
    void this.#bringUp(entry).catch((error: unknown) => {
      this.#problem(entry, messageOf(error));
      this.#host.log.error({ pod: key, err: error }, 'pod cannot start');
    });
  }

  async #bringUp(entry: Entry): Promise<void> {
    const pod = await this.#admitted(entry);
    if (pod === undefined) return;
    const errors = podErrors(pod.spec);
    if (errors.length > 0) {
      this.#problem(entry, `refused: ${errors.join('; ')}`);
      return;
    }
    const n = this.#numbers.take(entry.key);
    const addresses = { v4: addressAt(addressPlan.podV4, n), v6: addressAt(addressPlan.podV6, n) };
    entry.problem = undefined;
    entry.runner = new PodRunner(pod, addresses, this.#host.podHost);
    entry.runner.start();
    this.#host.onChange();
  }

  /** The pod as the injector returns it; undefined when it was removed while waiting. */
  async #admitted(entry: Entry): Promise<NamedPod | undefined> {
    const pod = this.#pending(entry);
    const named = (p: Pod): NamedPod => ({ ...p, metadata: { ...p.metadata, ...identityOf(pod) } });
    while (!entry.removing && !this.#stopping) {
      const account = pod.spec.serviceAccountName ?? 'default';
      if (!this.#host.hasServiceAccount(pod.metadata.namespace, account)) {
        this.#problem(entry, `there is no ServiceAccount ${account} in namespace ${pod.metadata.namespace}`);
      } else {
        const outcome = await this.#host.admit(pod);
        if (outcome.kind === 'allowed') {
          entry.warned = outcome.warnings;
          for (const w of outcome.warnings) this.#host.log.warn({ pod: entry.key }, w);
          return entry.removing || this.#stopping ? undefined : named(outcome.pod);
        }
        if (outcome.kind === 'unavailable' && !this.#host.mustBeAdmitted(pod)) return named(pod);
        this.#problem(
          entry,
          outcome.kind === 'denied' ? `denied by the injector: ${outcome.message}` : outcome.message,
        );
      }
      await new Promise<void>((done) => this.#host.clock.after(retryMs, done));
    }
    return undefined;
  }

  #remove(entry: Entry): void {
    if (entry.removing) return;
    entry.removing = true;
    const gone = entry.runner?.stop() ?? Promise.resolve();
    void gone
      .catch((error: unknown) => this.#host.log.error({ pod: entry.key, err: error }, 'pod did not go cleanly'))
      .then(() => {
        this.#entries.delete(entry.key);
        this.#numbers.release(entry.key);
        this.#host.onChange();
      });
    this.#host.onChange();
  }

  #problem(entry: Entry, text: string): void {
    if (entry.problem === text) return;
    entry.problem = text;
    this.#host.onChange();
  }

  /** The pod with what an API server fills in before admission. */
  #pending(entry: Entry): NamedPod {
    const { source, uid, createdAt } = entry;
    const { name = '', namespace = 'default' } = source.metadata;
    return {
      ...source,
      metadata: { ...source.metadata, name, namespace, uid, creationTimestamp: createdAt },
      spec: {
        ...source.spec,
        serviceAccountName: source.spec.serviceAccountName ?? 'default',
        nodeName: this.#host.nodeName,
        restartPolicy: source.spec.restartPolicy ?? 'Always',
        terminationGracePeriodSeconds: source.spec.terminationGracePeriodSeconds ?? 30,
      },
    };
  }
}

function identityOf(pod: NamedPod): { name: string; namespace: string; uid: string } {
  const { name, namespace, uid } = pod.metadata;
  return { name, namespace, uid };
}
