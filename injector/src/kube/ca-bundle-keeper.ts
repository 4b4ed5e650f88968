/**
 * Keeps the caBundle of our webhook configuration equal to the mesh's trust bundle. Invariant: what is written follows
 * from the bundle alone, so replicas do not fight; one that is behind takes nothing back, unless API servers could not
 * reach it at all.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, ApiError, isConflict, Reflector } from '@chainmail/kube/cluster';
import { fingerprint, readPemCertificates, type TrustBundle } from '@chainmail/pki';
import { Backoff, type Clock, type Logger, messageOf, Passes, type Timer } from '@chainmail/runtime';

export interface CaBundleKeeperOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch' | 'jsonPatch'>;
  /** Of the MutatingWebhookConfiguration. */
  readonly name: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly log: Logger;
  /** What API servers trust may have changed. */
  readonly onChange: () => void;
}

interface Configuration {
  readonly version: string;
  /** Of the bundle that stands there; 0 when none of ours does. */
  readonly sequence: number;
  readonly hasAnnotations: boolean;
  /** base64 of PEM, one for each webhook. */
  readonly caBundles: readonly string[];
}

const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const fieldManager = 'chainmail-injector';
export const sequenceAnnotation = 'chainmail.dev/bundle-sequence';
/** So long a later sequence is believed although nobody could reach us with its bundle. */
const patienceMs = 30_000;

function configurationOf(object: KubeObject): Configuration {
  const { annotations, resourceVersion } = object.metadata;
  const { webhooks } = object as { webhooks?: unknown };
  const text = annotations?.[sequenceAnnotation] ?? '';
  return {
    version: resourceVersion ?? '',
    sequence: /^\d{1,15}$/.test(text) ? Number(text) : 0,
    hasAnnotations: annotations !== undefined,
    caBundles: (Array.isArray(webhooks) ? webhooks : []).map((w: unknown) => {
      const client = isRecord(w) ? w['clientConfig'] : undefined;
      const bundle = isRecord(client) ? client['caBundle'] : undefined;
      return typeof bundle === 'string' ? bundle : '';
    }),
  };
}

/** Fingerprints of the certificates in a caBundle; none for what cannot be read. */
function anchorsIn(caBundle: string): ReadonlySet<string> {
  try {
    return new Set(readPemCertificates(Buffer.from(caBundle, 'base64').toString('utf8')).map(fingerprint));
  } catch {
    return new Set();
  }
}

function patchOf(held: Configuration, caBundle: string, sequence: number): object[] {
  const annotation = { [sequenceAnnotation]: String(sequence) };
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: held.version },
    held.hasAnnotations
      ? {
          op: 'add',
          path: `/metadata/annotations/${sequenceAnnotation.replace('/', '~1')}`,
          value: annotation[sequenceAnnotation],
        }
      : { op: 'add', path: '/metadata/annotations', value: annotation },
    ...held.caBundles.map((_, i) => ({ op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value: caBundle })),
  ];
}

export class CaBundleKeeper {
  readonly #options: CaBundleKeeperOptions;
  readonly #reflector: Reflector<Configuration>;
  /** Fast at first, for admissions fail meanwhile; slow in the end. */
  readonly #backoff: Backoff;
  #bundle: TrustBundle | undefined;
  /** Fingerprint of the anchor that our certificate leads to. */
  #ownAnchor: string | undefined;
  #behindSinceMs: number | undefined;
  readonly #passes = new Passes(() => this.#pass());
  #timer: Timer | undefined;
  #closed = false;
  #told = '';
  readonly counts = { written: 0, failed: 0 };

  constructor(options: CaBundleKeeperOptions) {
    this.#options = options;
    const { client, name, clock, log } = options;
    const random = options.random === undefined ? {} : { random: options.random };
    this.#backoff = new Backoff({ baseMs: 200, maxMs: 60_000, ...random });
    this.#reflector = new Reflector({
      ...{ client, path, clock, log, ...random },
      fieldSelector: `metadata.name=${name}`,
      project: configurationOf,
      onChange: () => {
        options.onChange();
        this.#passes.ask();
      },
    });
  }

  start(): void {
    this.#reflector.start();
  }

  stop(): void {
    this.#closed = true;
    this.#passes.close();
    this.#timer?.cancel();
    this.#reflector.stop();
  }

  /** The bundle to publish, and the anchor of the certificate that is or will be served. */
  offer(bundle: TrustBundle, ownAnchor: string | undefined): void {
    this.#ownAnchor = ownAnchor;
    if (this.#bundle === undefined || bundle.sequence >= this.#bundle.sequence) this.#bundle = bundle;
    this.#passes.ask();
  }

  /** Whether API servers accept a certificate of this anchor; true while nothing is installed that would ask. */
  trusts(anchor: string): boolean {
    if (!this.#reflector.synced) return false;
    const held = this.#reflector.get(this.#options.name);
    return held === undefined || held.caBundles.every((b) => anchorsIn(b).has(anchor));
  }

  async #pass(): Promise<void> {
    const held = this.#reflector.get(this.#options.name);
    const bundle = this.#bundle;
    if (bundle === undefined || !this.#reflector.synced) return;
    if (held === undefined) return this.#tellOnce('the webhook configuration is not installed');
    const wanted = Buffer.from(bundle.pem).toString('base64');
    if (held.caBundles.every((b) => b === wanted)) {
      this.#behindSinceMs = undefined;
      this.#backoff.reset();
      return this.#tellOnce('');
    }
    if (this.#isBehind(held, bundle)) return;
    await this.#write(held, wanted, bundle.sequence);
  }

  /** Another replica published a later bundle: ours will come by the CA or the mounted file. */
  #isBehind(held: Configuration, bundle: TrustBundle): boolean {
    if (held.sequence <= bundle.sequence) {
      this.#behindSinceMs = undefined;
      return false;
    }
    if (this.#ownAnchor !== undefined && this.trusts(this.#ownAnchor)) return true;
    const nowMs = this.#options.clock.now();
    this.#behindSinceMs ??= nowMs;
    const leftMs = this.#behindSinceMs + patienceMs - nowMs;
    if (leftMs <= 0) return false;
    this.#lookAgainAfter(leftMs);
    return true;
  }

  async #write(held: Configuration, caBundle: string, sequence: number): Promise<void> {
    const { client, name, log } = this.#options;
    try {
      await client.jsonPatch(`${path}/${name}`, patchOf(held, caBundle, sequence), fieldManager);
      this.counts.written++;
      log.info({ configuration: name, sequence }, 'caBundle published');
    } catch (error) {
      // 422: the test of the version failed, so the change of whoever was first is on its way to us.
      const lost = isConflict(error) || (error instanceof ApiError && error.status === 422);
      if (!lost) this.counts.failed++;
      const delayMs = this.#backoff.next();
      if (!lost) this.#tellOnce(messageOf(error));
      this.#lookAgainAfter(delayMs);
    }
  }

  #lookAgainAfter(delayMs: number): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#passes.ask();
    });
  }

  #tellOnce(reason: string): void {
    const { log, name } = this.#options;
    if (reason !== '' && reason !== this.#told) log.warn({ configuration: name, reason }, 'caBundle not published');
    this.#told = reason;
  }
}
