/**
 * The identity of this process: one key, certificate and bundle, renewed in time for as long as it runs.
 * Invariant: what works is kept until its successor is held and checked; from its notAfter on nothing is handed out.
 */
import { Backoff, type Clock, type Logger, messageOf, systemClock, type Timer } from '@chainmail/runtime';
import type { CsrSigner, SignedCertificate } from './csr-signer.ts';
import { acceptAnswer, type IdentityMaterial } from './identity-material.ts';
import { createCsr, createKeyPair } from './key-pair.ts';
import type { TrustBundle } from './trust-bundle.ts';

export type IdentityEvent =
  | { readonly type: 'rotated'; readonly material: IdentityMaterial }
  /** The bundle changed between two renewals; key and chain are the same. */
  | { readonly type: 'bundle-changed'; readonly material: IdentityMaterial }
  | { readonly type: 'renewal-failed'; readonly reason: string; readonly retryInMs: number }
  /** The alarm: a quarter of the lifetime is left. */
  | { readonly type: 'expiring'; readonly material: IdentityMaterial; readonly remainingMs: number }
  /** Nothing is handed out any more; whoever holds the key drops it. */
  | { readonly type: 'expired'; readonly spiffeId: string };

export interface WorkloadIdentityOptions {
  readonly signer: CsrSigner;
  readonly trustDomain: string;
  /** Refuse a certificate for any other id; absent when only the CA knows it. */
  readonly expectedId?: string;
  /** Wanted lifetime; absent takes the CA's default. */
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly log?: Logger;
}

/** Renewal begins at this share of the lifetime, give or take the jitter that keeps a fleet apart. */
const renewAtShare = 0.5;
const renewJitterShare = 0.1;
const alarmShare = 0.25;
const backoff = { baseMs: 500, maxMs: 30_000 } as const;
/** Until the first certificate nothing works yet, and a pod that starts before the CA should not wait much longer than it. */
const firstBackoff = { baseMs: 250, maxMs: 5_000 } as const;
/** A signer that has not answered by then has failed. */
const signTimeoutMs = 20_000;
/** Timers look at the wall clock at least this often: a suspended machine's timers stand still, its certificates age. */
const longestNapMs = 60_000;

export class WorkloadIdentity {
  readonly #options: WorkloadIdentityOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #listeners = new Set<(event: IdentityEvent) => void>();
  readonly #waiters = new Set<(reason: Error) => void>();
  #material: IdentityMaterial | undefined;
  #bundle: TrustBundle | undefined;
  #backoff: Backoff;
  #renewAtMs = 0;
  #timer: Timer | undefined;
  #renewing = false;
  #alarmed = false;
  #expired = false;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: WorkloadIdentityOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#backoff = new Backoff({ ...firstBackoff, random: this.#random });
  }

  /** The material now, or undefined when none is held yet or it has expired: then nothing may be presented. */
  current(): IdentityMaterial | undefined {
    const held = this.#material;
    return held !== undefined && this.#clock.now() <= held.notAfterMs ? held : undefined;
  }

  /** Called with every event from now on; returns what ends it. */
  subscribe(listener: (event: IdentityEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins with a first certificate and renews from then on. */
  start(): void {
    if (this.#state !== 'new') throw new Error('a workload identity starts once');
    this.#state = 'running';
    this.#renewAtMs = this.#clock.now();
    this.#wake();
  }

  /**
   * Resolves with the first material, at once when there is one. Rejects when stopped before. Until then it keeps
   * the process alive, which the clock's timers do not: a CA that is down would otherwise end whoever waits for it.
   */
  ready(): Promise<IdentityMaterial> {
    const held = this.current();
    if (held !== undefined) return Promise.resolve(held);
    return new Promise((resolve, reject) => {
      const alive = setInterval(() => {}, longestNapMs);
      const done = (): void => {
        clearInterval(alive);
        end();
        this.#waiters.delete(fail);
      };
      const fail = (reason: Error): void => {
        done();
        reject(reason);
      };
      const end = this.subscribe((event) => {
        if (event.type !== 'rotated') return;
        done();
        resolve(event.material);
      });
      this.#waiters.add(fail);
    });
  }

  /** Takes a bundle that came another way (a mounted file), unless a newer one is held. */
  offerBundle(bundle: TrustBundle): void {
    const held = this.current();
    if (bundle.trustDomain !== this.#options.trustDomain) throw new Error('a bundle of another trust domain');
    if (this.#bundle !== undefined && bundle.sequence <= this.#bundle.sequence) return;
    this.#bundle = bundle;
    if (held === undefined) return; // nothing that has expired is handed out again
    const material = { ...held, bundle, bundlePem: bundle.pem, sequence: bundle.sequence };
    this.#material = material;
    this.#emit({ type: 'bundle-changed', material });
  }

  /** Ends renewing and forgets the key. */
  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#material = undefined;
    for (const fail of [...this.#waiters]) fail(new Error('the workload identity was stopped'));
  }

  /** A listener that throws must cost neither the others their event nor the identity its renewal. */
  #emit(event: IdentityEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#options.log?.error({ err: error, event: event.type }, 'a listener of the identity failed');
      }
    }
  }

  #wake(): void {
    if (this.#state !== 'running') return;
    this.#watchExpiry();
    if (!this.#renewing && this.#clock.now() >= this.#renewAtMs) void this.#renew();
    this.#sleep();
  }

  #sleep(): void {
    this.#timer?.cancel();
    if (this.#state !== 'running') return;
    const now = this.#clock.now();
    const dates = this.#renewing ? [] : [this.#renewAtMs];
    const held = this.#material;
    if (held !== undefined && !this.#alarmed) dates.push(alarmAt(held));
    if (held !== undefined && !this.#expired) dates.push(held.notAfterMs + 1);
    const wait = Math.min(longestNapMs, ...dates.map((d) => Math.max(0, d - now)));
    this.#timer = this.#clock.after(wait, () => this.#wake());
  }

  #watchExpiry(): void {
    const held = this.#material;
    if (held === undefined) return;
    const now = this.#clock.now();
    const { spiffeId } = held;
    if (now > held.notAfterMs && !this.#expired) {
      this.#expired = true;
      this.#alarmed = true;
      this.#options.log?.error({ spiffeId }, 'the certificate expired: new handshakes fail until the CA answers');
      this.#emit({ type: 'expired', spiffeId });
    } else if (now >= alarmAt(held) && !this.#alarmed) {
      this.#alarmed = true;
      const remainingMs = held.notAfterMs - now;
      this.#options.log?.error({ spiffeId, remainingMs }, 'less than a quarter of the certificate lifetime is left');
      this.#emit({ type: 'expiring', material: held, remainingMs });
    }
  }

  async #renew(): Promise<void> {
    this.#renewing = true;
    try {
      const { ttlSeconds, trustDomain, expectedId } = this.#options;
      const { privateKey, keyPem } = await createKeyPair();
      const request = { csrPem: createCsr(privateKey), ...(ttlSeconds === undefined ? {} : { ttlSeconds }) };
      const answer = await this.#signWithDeadline(() => this.#options.signer.sign(request));
      const nowMs = this.#clock.now();
      const heldBundle = this.#bundle;
      this.#hold(acceptAnswer({ answer, privateKey, keyPem, trustDomain, expectedId, heldBundle, nowMs }));
    } catch (error) {
      this.#retryAfter(messageOf(error));
    } finally {
      this.#renewing = false;
      this.#sleep();
    }
  }

  #signWithDeadline(sign: () => Promise<SignedCertificate>): Promise<SignedCertificate> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`the CA did not answer within ${signTimeoutMs} ms`));
      const timer = this.#clock.after(signTimeoutMs, late);
      sign()
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }

  #hold(material: IdentityMaterial): void {
    if (this.#state !== 'running') return;
    const lifetimeMs = material.notAfterMs - material.heldSinceMs;
    const share = renewAtShare + (this.#random() * 2 - 1) * renewJitterShare;
    this.#material = material;
    this.#bundle = material.bundle;
    this.#renewAtMs = material.heldSinceMs + lifetimeMs * share;
    this.#alarmed = false;
    this.#expired = false;
    const maxMs = Math.min(backoff.maxMs, Math.max(backoff.baseMs, lifetimeMs / 10));
    this.#backoff = new Backoff({ baseMs: backoff.baseMs, maxMs, random: this.#random });
    const { spiffeId, serial, sequence } = material;
    this.#options.log?.info({ spiffeId, serial, sequence, notAfter: iso(material.notAfterMs) }, 'certificate in use');
    this.#emit({ type: 'rotated', material });
  }

  #retryAfter(reason: string): void {
    if (this.#state !== 'running') return;
    const retryInMs = this.#backoff.next();
    this.#renewAtMs = this.#clock.now() + retryInMs;
    this.#options.log?.warn({ reason, retryInMs }, 'could not get a certificate');
    this.#emit({ type: 'renewal-failed', reason, retryInMs });
  }
}

const iso = (ms: number): string => new Date(ms).toISOString();

function alarmAt(held: IdentityMaterial): number {
  return held.notAfterMs - (held.notAfterMs - held.heldSinceMs) * alarmShare;
}
