/**
 * The trust bundle as a ConfigMap in every namespace of the mesh. Invariant: a newer bundle is never replaced by an
 * older one, whichever replica writes; one that drifted is put right. Where it was published it stays and is kept up
 * to date, for pods may run there after the label is gone.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, Reflector } from '@chainmail/kube/cluster';
import { formatTrustBundle, parseTrustBundle, type TrustBundle } from '@chainmail/pki';
import {
  Backoff,
  type Clock,
  type Logger,
  labels,
  messageOf,
  Passes,
  system,
  type Timer,
  trustBundleConfigMap,
} from '@chainmail/runtime';

export interface BundlePublisherOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch' | 'apply'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

interface NamespaceView {
  readonly name: string;
  readonly labelled: boolean;
  readonly ending: boolean;
}

interface Published {
  readonly namespace: string;
  readonly text: string;
}

const fieldManager = 'chainmail-ca';
const parallel = 4;
/** A replica that is behind has read the store again by then; what still claims to be newer was forged. */
const patienceMs = 6000;
/** Nothing is meshed there, whatever its labels say. */
const never = 'kube-system';

const namespaceView = ({ metadata }: KubeObject): NamespaceView => ({
  name: metadata.name ?? '',
  labelled: metadata.labels?.[labels.inject] !== undefined,
  ending: metadata.deletionTimestamp !== undefined,
});

function publishedOf(object: KubeObject): Published {
  const { data } = object as { data?: unknown };
  const text = isRecord(data) ? data[trustBundleConfigMap.key] : undefined;
  return { namespace: object.metadata.namespace ?? '', text: typeof text === 'string' ? text : '' };
}

/** Sequence of a published text; 0 for what is no bundle of ours. */
function sequenceOf(text: string, trustDomain: string): number {
  try {
    return parseTrustBundle(text, trustDomain).sequence;
  } catch {
    return 0;
  }
}

export class BundlePublisher {
  readonly #options: BundlePublisherOptions;
  readonly #namespaces: Reflector<NamespaceView>;
  readonly #pods: Reflector<string>;
  readonly #published: Reflector<Published>;
  readonly #backoff: Backoff;
  #bundle: TrustBundle | undefined;
  readonly #passes = new Passes(() => this.#pass());
  #retry: Timer | undefined;
  /** Since when a namespace has a text that claims a later sequence than ours. */
  readonly #newerSinceMs = new Map<string, number>();
  #closed = false;
  readonly counts = { written: 0, failed: 0 };

  constructor(options: BundlePublisherOptions) {
    this.#options = options;
    const { client, clock, log } = options;
    const random = options.random === undefined ? {} : { random: options.random };
    const common = { client, clock, log, ...random, onChange: () => this.#passes.ask() };
    this.#backoff = new Backoff({ baseMs: 250, maxMs: 15_000, ...random });
    this.#namespaces = new Reflector({ ...common, path: '/api/v1/namespaces', project: namespaceView });
    this.#pods = new Reflector({
      ...common,
      path: '/api/v1/pods',
      labelSelector: `${labels.inject}=enabled`,
      project: (pod) => pod.metadata.namespace ?? '',
    });
    this.#published = new Reflector({
      ...common,
      path: '/api/v1/configmaps',
      fieldSelector: `metadata.name=${trustBundleConfigMap.name}`,
      project: publishedOf,
    });
  }

  start(): void {
    for (const reflector of [this.#namespaces, this.#pods, this.#published]) reflector.start();
  }

  stop(): void {
    this.#closed = true;
    this.#passes.close();
    this.#retry?.cancel();
    for (const reflector of [this.#namespaces, this.#pods, this.#published]) reflector.stop();
  }

  /** From now on this bundle is the one to publish. */
  offer(bundle: TrustBundle): void {
    if (this.#bundle !== undefined && bundle.sequence < this.#bundle.sequence) return;
    this.#bundle = bundle;
    this.#passes.ask();
  }

  /** The mesh's own namespace has the bundle, so that the other processes can start. */
  get isPublished(): boolean {
    return this.#published.get(`${system.namespace}/${trustBundleConfigMap.name}`) !== undefined;
  }

  get namespaceCount(): number {
    return this.#published.values().length;
  }

  /** Namespaces that should have it. */
  #wanted(): string[] {
    const named = this.#namespaces.values().filter((n) => !n.ending && n.name !== never);
    const withPods = new Set(this.#pods.values());
    const isWanted = ({ name, labelled }: NamespaceView): boolean =>
      labelled || withPods.has(name) || name === system.namespace || this.#textIn(name) !== undefined;
    return named.filter(isWanted).map((n) => n.name);
  }

  #textIn(namespace: string): string | undefined {
    return this.#published.get(`${namespace}/${trustBundleConfigMap.name}`)?.text;
  }

  async #pass(): Promise<void> {
    const bundle = this.#bundle;
    const synced = [this.#namespaces, this.#pods, this.#published].every((r) => r.synced);
    if (bundle === undefined || !synced) return;
    const text = formatTrustBundle(bundle);
    const queue = this.#wanted().filter((namespace) => this.#isDue(namespace, text, bundle));
    let failed = false;
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined && !this.#closed; next = queue.pop()) {
        if (!(await this.#put(next, text))) failed = true;
      }
    };
    await Promise.all(Array.from({ length: parallel }, work));
    if (!failed) this.#backoff.reset();
    else this.#lookAgainAfter(this.#backoff.next());
  }

  #isDue(namespace: string, text: string, { sequence, trustDomain }: TrustBundle): boolean {
    const held = this.#textIn(namespace);
    if (held === undefined || held === text || sequenceOf(held, trustDomain) <= sequence) {
      this.#newerSinceMs.delete(namespace);
      return held !== text;
    }
    const nowMs = this.#options.clock.now();
    const sinceMs = this.#newerSinceMs.get(namespace) ?? nowMs;
    this.#newerSinceMs.set(namespace, sinceMs);
    if (nowMs - sinceMs >= patienceMs) return true;
    this.#lookAgainAfter(patienceMs);
    return false;
  }

  #lookAgainAfter(delayMs: number): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#retry = this.#options.clock.after(delayMs, () => {
      this.#retry = undefined;
      this.#passes.ask();
    });
  }

  async #put(namespace: string, text: string): Promise<boolean> {
    const { client, log } = this.#options;
    const { name, key } = trustBundleConfigMap;
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels: { 'app.kubernetes.io/part-of': 'chainmail' } },
      data: { [key]: text },
    };
    try {
      await client.apply(`/api/v1/namespaces/${namespace}/configmaps/${name}`, body, fieldManager);
      this.counts.written++;
      log.info({ namespace }, 'trust bundle published');
      return true;
    } catch (error) {
      this.counts.failed++;
      log.warn({ namespace, reason: messageOf(error) }, 'could not publish the trust bundle');
      return false;
    }
  }
}
