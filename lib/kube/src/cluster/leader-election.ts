/**
 * One leader among replicas, by a Lease (coordination.k8s.io/v1). Invariant: a replica that cannot renew stops leading
 * before another may begin: it measures by its own clock from before the request, the others from when they saw it.
 */
import { type Clock, type Logger, messageOf, type Timer } from '@chainmail/runtime';
import type { KubeObject } from '../object.ts';
import type { ApiClient } from './api-client.ts';
import { isConflict } from './api-error.ts';

export interface LeaderOptions {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Of this replica: its pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly log: Logger;
  readonly onChange?: (leading: boolean) => void;
}

/** As client-go's defaults: others take over 15 s after the last renewal, the leader gives up after 10 s. */
const leaseMs = 15_000;
const giveUpMs = 10_000;
const everyMs = 2000;

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

/** MicroTime, as Kubernetes writes it. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

export class LeaderElection {
  readonly #options: LeaderOptions;
  readonly #path: string;
  #timer: Timer | undefined;
  #stopped = false;
  #leading = false;
  /** Until when we may lead without a further renewal. */
  #validUntilMs = 0;
  /** What we saw last of another's lease, and when: only our own clock is compared. */
  #seen: { readonly record: string; readonly atMs: number } | undefined;
  #acquiredAt = '';
  #told = '';

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  get isLeader(): boolean {
    return this.#leading && this.#options.clock.now() < this.#validUntilMs;
  }

  start(): void {
    void this.#tick();
  }

  /** Gives the lease back, so that another replica need not wait for it to run out. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    if (!this.#leading) return;
    this.#set(false);
    try {
      const lease = (await this.#options.client.get(`${this.#path}/${this.#options.name}`)) as Lease | undefined;
      if (lease?.spec?.holderIdentity !== this.#options.identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await this.#options.client.replace(`${this.#path}/${this.#options.name}`, { ...lease, spec });
    } catch (error) {
      this.#options.log.info({ reason: messageOf(error) }, 'could not give the lease back; it runs out');
    }
  }

  async #tick(): Promise<void> {
    const { clock, log, random = Math.random } = this.#options;
    try {
      await this.#try();
      this.#told = '';
    } catch (error) {
      const reason = messageOf(error);
      if (!isConflict(error) && reason !== this.#told) log.warn({ reason }, 'could not renew or take the lease');
      this.#told = reason;
      if (this.#leading && clock.now() >= this.#validUntilMs) this.#set(false);
    }
    if (this.#stopped) return;
    this.#timer = clock.after(everyMs * (0.8 + random() * 0.4), () => void this.#tick());
  }

  async #try(): Promise<void> {
    const { client, identity, name, clock } = this.#options;
    const nowMs = clock.now();
    const lease = (await client.get(`${this.#path}/${name}`)) as Lease | undefined;
    if (this.#stopped) return;
    if (lease === undefined) {
      await client.create(this.#path, this.#lease({}, this.#spec(nowMs, 0)));
      return this.#took(nowMs);
    }
    const spec = lease.spec ?? {};
    const isOurs = spec.holderIdentity === identity;
    if (!isOurs && !this.#isFree(spec, nowMs)) return this.#set(false);
    // A lease of our name from an earlier life is taken again like a stranger's: we did not lead meanwhile.
    if (!isOurs || !this.#leading) this.#acquiredAt = microTime(nowMs);
    const transitions = (spec.leaseTransitions ?? 0) + (isOurs ? 0 : 1);
    await client.replace(`${this.#path}/${name}`, this.#lease(lease, this.#spec(nowMs, transitions)));
    this.#took(nowMs);
  }

  #lease(base: object, spec: LeaseSpec): object {
    const { name, namespace } = this.#options;
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, ...base, spec };
  }

  #spec(nowMs: number, leaseTransitions: number): LeaseSpec {
    if (this.#acquiredAt === '') this.#acquiredAt = microTime(nowMs);
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: leaseMs / 1000,
      acquireTime: this.#acquiredAt,
      renewTime: microTime(nowMs),
      leaseTransitions,
    };
  }

  /** Nobody holds it, or we have watched it stand still for its whole duration. */
  #isFree(spec: LeaseSpec, nowMs: number): boolean {
    if (!spec.holderIdentity) return true;
    const record = `${spec.holderIdentity} ${spec.renewTime} ${spec.leaseTransitions}`;
    if (this.#seen?.record !== record) this.#seen = { record, atMs: nowMs };
    return nowMs - this.#seen.atMs >= (spec.leaseDurationSeconds ?? leaseMs / 1000) * 1000;
  }

  #took(askedAtMs: number): void {
    this.#seen = undefined;
    this.#validUntilMs = askedAtMs + giveUpMs;
    this.#set(!this.#stopped);
  }

  #set(leading: boolean): void {
    if (this.#leading === leading) return;
    this.#leading = leading;
    this.#options.log.info({ lease: this.#options.name, leading }, leading ? 'leading' : 'not leading any more');
    this.#options.onChange?.(leading);
  }
}
