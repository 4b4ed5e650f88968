/**
 * The CA of one trust domain: opens the active root, signs with it, and knows the bundle. Several replicas share one
 * store. Invariant: a lifetime is noted in the store before the first certificate of it is signed.
 */
import type { KeyObject } from 'node:crypto';
import { createTrustBundle, readPemCertificates, type SpiffeId, type TrustBundle } from '@chainmail/pki';
import { createRoot, type IssuedSvid, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { type Clock, UserError } from '@chainmail/runtime';
import { activeRoot, type CaState, initialState, noteTtl } from './ca-state.ts';
import type { CaStore, StoredState } from './store.ts';

const rootLifetimeMs = 10 * 365 * 24 * 3600 * 1000;
/** Attempts at a change that other replicas make too. */
const maxAttempts = 8;

export interface IssueRequest {
  readonly id: SpiffeId;
  readonly dnsNames: readonly string[];
  readonly publicKey: KeyObject;
  readonly ttlSeconds: number;
}

export interface Issued extends IssuedSvid {
  /** PEM, leaf first, root last. */
  readonly chainPem: readonly string[];
  readonly bundle: TrustBundle;
}

interface Opened extends StoredState {
  readonly issuer: Issuer;
  readonly bundle: TrustBundle;
}

async function open(stored: StoredState, trustDomain: string): Promise<Opened> {
  const { state } = stored;
  if (state.trustDomain !== trustDomain) {
    throw new UserError('CA_TRUST_DOMAIN', `the state is of trust domain ${state.trustDomain}, not ${trustDomain}`, {
      hint: 'use another state directory; a trust domain cannot be renamed',
    });
  }
  const anchors = state.roots.flatMap((r) => readPemCertificates(r.certificatePem));
  const issuer = await openIssuer(trustDomain, activeRoot(state));
  return { ...stored, issuer, bundle: createTrustBundle(trustDomain, anchors, state.sequence) };
}

/** The stored state; a first root is made when there is none. Of two replicas that start at once, one's root stands. */
async function loadOrCreate(store: CaStore, trustDomain: string, clock: Clock): Promise<StoredState> {
  const found = await store.load();
  if (found !== undefined) return found;
  const root = await createRoot({ trustDomain, nowMs: clock.now(), lifetimeMs: rootLifetimeMs });
  await store.create(initialState(trustDomain, root, clock.now()));
  const stored = await store.load();
  if (stored === undefined) throw new Error('the CA store lost the state it has just taken');
  return stored;
}

export class CertificateAuthority {
  readonly #store: CaStore;
  readonly #clock: Clock;
  readonly #trustDomain: string;
  #opened: Opened;

  private constructor(store: CaStore, clock: Clock, trustDomain: string, opened: Opened) {
    this.#store = store;
    this.#clock = clock;
    this.#trustDomain = trustDomain;
    this.#opened = opened;
  }

  /** @throws UserError when the stored state is unusable or of another trust domain. */
  static async open(store: CaStore, trustDomain: string, clock: Clock): Promise<CertificateAuthority> {
    const stored = await loadOrCreate(store, trustDomain, clock);
    return new CertificateAuthority(store, clock, trustDomain, await open(stored, trustDomain));
  }

  get trustDomain(): string {
    return this.#trustDomain;
  }

  get bundle(): TrustBundle {
    return this.#opened.bundle;
  }

  /** When the root that signs now expires. */
  get rootNotAfterMs(): number {
    return this.#opened.issuer.fields.notAfterMs;
  }

  /** Takes over what another replica or a rotation stored; true when something changed. */
  async reload(): Promise<boolean> {
    const stored = await this.#store.load();
    if (stored === undefined)
      throw new UserError('CA_STATE_MISSING', 'the CA state is gone; the one in memory is used');
    if (stored.revision === this.#opened.revision) return false;
    if (stored.state.sequence < this.#opened.state.sequence) {
      throw new UserError('CA_STATE_INVALID', 'the stored bundle sequence went back; the state in memory is used');
    }
    this.#opened = await open(stored, this.#trustDomain);
    return true;
  }

  /** Applies a pure change of the state, again when another replica was faster. @throws what the change throws */
  async change(next: (state: CaState) => CaState): Promise<void> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      await this.reload();
      const { state, revision } = this.#opened;
      const changed = next(state);
      if (changed === state) return;
      if (await this.#store.replace(changed, revision)) {
        await this.reload();
        return;
      }
    }
    throw new Error('the CA state changes too fast');
  }

  async issue(request: IssueRequest): Promise<Issued> {
    const { ttlSeconds } = request;
    if (noteTtl(this.#opened.state, ttlSeconds) !== this.#opened.state)
      await this.change((s) => noteTtl(s, ttlSeconds));
    const { issuer, bundle } = this.#opened;
    const { id, publicKey, dnsNames } = request;
    const template = { id, publicKey, dnsNames, nowMs: this.#clock.now(), ttlMs: ttlSeconds * 1000 };
    const svid = await issueSvid(issuer, template);
    return { ...svid, chainPem: [svid.certificatePem, issuer.certificatePem], bundle };
  }
}
