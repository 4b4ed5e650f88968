/**
 * A mirror of one list of an API server: list, then watch, for ever. Invariant: what is mirrored is never dropped
 * because the server cannot be reached; a new list is compared with what is held, and only differences are told.
 */
import { Backoff, type Clock, type Logger, messageOf, type Timer } from '@chainmail/runtime';
import type { KubeObject } from '../object.ts';
import { isRecord } from '../schema/schema.ts';
import type { ApiClient, ListAnswer, WatchEvent } from './api-client.ts';
import { ApiError, errorOf, isExpired, isNotFound } from './api-error.ts';

export interface ReflectorOptions<T> {
  readonly client: Pick<ApiClient, 'list' | 'watch'>;
  /** Of the list, e.g. `/api/v1/pods`. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What is kept of an object: as little as is used. */
  readonly project: (object: KubeObject) => T;
  /** Whether a new version means anything to us; what it replaced is kept otherwise. By JSON text unless given. */
  readonly isSame?: (held: T, next: T) => boolean;
  readonly onChange: () => void;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly log: Logger;
  /** A new list at least this often, against events that got lost; 10 minutes by default. */
  readonly resyncMs?: number;
}

export interface ReflectorFigures {
  readonly lists: number;
  readonly failures: number;
  readonly objects: number;
  /** The list is being followed now, or its kind is not installed. */
  readonly live: boolean;
}

const pageSize = 500;
const backoffLimits = { baseMs: 250, maxMs: 30_000 } as const;
/** A kind whose CRD is not installed is looked for again this often. */
const absentEveryMs = 30_000;
/** A server that starts may not know a CRD yet: objects we hold go only when it has been gone for this long. */
const goneAfterMs = 60_000;
/** A stream that ends sooner than this without an event counts as a failure. */
const shortestWatchMs = 1000;
const watchSeconds = { least: 240, most: 480 } as const;

interface Held<T> {
  readonly version: string;
  readonly value: T;
}

const keyOf = ({ metadata }: KubeObject): string =>
  metadata.namespace === undefined ? `${metadata.name}` : `${metadata.namespace}/${metadata.name}`;

const sameText = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function isObject(value: unknown): value is KubeObject {
  return isRecord(value) && isRecord(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

/** Items of a typed list do not say their kind; the list does. */
function itemsOf({ items, kind, apiVersion }: ListAnswer): KubeObject[] {
  const named = { apiVersion: apiVersion ?? '', kind: (kind ?? '').replace(/List$/, '') };
  return (items ?? []).filter(isObject).map((item) => ({ ...named, ...item }));
}

export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #backoff: Backoff;
  readonly #random: () => number;
  #held = new Map<string, Held<T>>();
  #synced = false;
  #live = false;
  #lists = 0;
  #failures = 0;
  #told = '';
  #absentSinceMs: number | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;
  #stopWatch: (() => void) | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#backoff = new Backoff({ ...backoffLimits, random: this.#random });
  }

  /** A first list has been taken in. */
  get synced(): boolean {
    return this.#synced;
  }

  get figures(): ReflectorFigures {
    return {
      lists: this.#lists,
      failures: this.#failures,
      objects: this.#held.size,
      live: this.#live || this.#absentSinceMs !== undefined,
    };
  }

  /** By `namespace/name`, or `name` where there is no namespace. */
  get(key: string): T | undefined {
    return this.#held.get(key)?.value;
  }

  values(): T[] {
    return [...this.#held.values()].map((h) => h.value);
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopWatch?.();
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    let version: string | undefined;
    let listAtMs = 0;
    while (!this.#stopped) {
      try {
        if (version === undefined || clock.now() >= listAtMs) {
          version = await this.#list();
          listAtMs = clock.now() + (this.#options.resyncMs ?? 600_000) * (0.8 + this.#random() * 0.4);
        }
        version = await this.#watch(version);
      } catch (error) {
        if (isExpired(error) || isNotFound(error)) version = undefined;
        await this.#failed(error);
      }
    }
  }

  /** Takes in the whole list; its version. */
  async #list(): Promise<string> {
    const { client, path, labelSelector, fieldSelector, project } = this.#options;
    const next = new Map<string, Held<T>>();
    let changed = !this.#synced;
    let version = '';
    let from: string | undefined;
    do {
      const page: ListAnswer = await client.list(path, {
        limit: pageSize,
        continue: from,
        labelSelector,
        fieldSelector,
      });
      for (const object of itemsOf(page)) {
        const key = keyOf(object);
        const held = this.#held.get(key);
        const fresh = this.#merge(held, object.metadata.resourceVersion ?? '', () => project(object));
        if (fresh.value !== held?.value) changed = true;
        next.set(key, fresh);
      }
      version = page.metadata?.resourceVersion ?? '';
      from = page.metadata?.continue || undefined;
    } while (from !== undefined && !this.#stopped);
    if (this.#stopped) return version;
    for (const key of this.#held.keys()) if (!next.has(key)) changed = true;
    this.#held = next;
    this.#lists++;
    this.#absentSinceMs = undefined;
    this.#tellRecovery();
    this.#settle(changed);
    return version;
  }

  /** What is held of an object after a new version of it: the same value when nothing that matters changed. */
  #merge(held: Held<T> | undefined, version: string, make: () => T): Held<T> {
    if (held !== undefined && held.version === version && version !== '') return held;
    const value = make();
    const isSame = this.#options.isSame ?? sameText;
    return { version, value: held !== undefined && isSame(held.value, value) ? held.value : value };
  }

  #settle(changed: boolean): void {
    this.#synced = true;
    if (changed) this.#options.onChange();
  }

  /** Follows from a version on; resolves with the version reached when the server closes in peace. */
  #watch(from: string): Promise<string> {
    const { client, path, labelSelector, fieldSelector, clock } = this.#options;
    const beganMs = clock.now();
    let version = from;
    let events = 0;
    let broken: ApiError | undefined;
    const seconds = watchSeconds.least + Math.floor(this.#random() * (watchSeconds.most - watchSeconds.least));
    const query = {
      resourceVersion: from,
      allowWatchBookmarks: true,
      timeoutSeconds: seconds,
      ...{ labelSelector, fieldSelector },
    };
    return new Promise((resolve, reject) => {
      const end = (error: ApiError | undefined): void => {
        this.#live = false;
        this.#stopWatch = undefined;
        const failure = broken ?? error;
        const lastedMs = clock.now() - beganMs;
        if (lastedMs >= shortestWatchMs) this.#backoff.reset();
        if (this.#stopped) resolve(version);
        else if (failure !== undefined && (failure.status !== 0 || events === 0)) reject(failure);
        else if (events === 0 && lastedMs < shortestWatchMs)
          reject(new ApiError(`watch ${path}: closed at once`, { status: 0 }));
        else resolve(version); // a stream that was cut goes on where it stopped
      };
      const take = (event: WatchEvent): void => {
        if (broken !== undefined || this.#stopped) return;
        const taken = this.#take(event);
        if (taken instanceof ApiError) {
          broken = taken;
          return;
        }
        events++;
        this.#recovered();
        if (taken !== '') version = taken;
      };
      const stop = client.watch(path, query, take, end);
      this.#live = true;
      this.#stopWatch = () => {
        stop();
        resolve(version);
      };
    });
  }

  /** The version of the event, or why the stream cannot be used any more. */
  #take({ type, object }: WatchEvent): string | ApiError {
    if (type === 'ERROR') {
      const code = isRecord(object) && typeof object['code'] === 'number' ? object['code'] : 500;
      return errorOf(`watch ${this.#options.path}`, code, JSON.stringify(object));
    }
    if (!isRecord(object) || !isRecord(object['metadata'])) return '';
    const version = object['metadata']['resourceVersion'];
    const text = typeof version === 'string' ? version : '';
    if (type === 'BOOKMARK' || !isObject(object)) return text;
    const key = keyOf(object);
    const held = this.#held.get(key);
    if (type === 'DELETED') {
      if (this.#held.delete(key)) this.#options.onChange();
    } else if (type === 'ADDED' || type === 'MODIFIED') {
      const next = this.#merge(held, text, () => this.#options.project(object));
      this.#held.set(key, next);
      if (next.value !== held?.value) this.#options.onChange();
    }
    return text;
  }

  #recovered(): void {
    this.#backoff.reset();
    this.#tellRecovery();
  }

  #tellRecovery(): void {
    if (this.#told === '') return;
    this.#options.log.info({ path: this.#options.path }, 'the API server is followed again');
    this.#told = '';
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#stopped) return;
    if (isNotFound(error)) return this.#absent();
    this.#failures++;
    const delayMs = Math.max(this.#backoff.next(), (error instanceof ApiError && error.retryAfterMs) || 0);
    const reason = messageOf(error);
    if (!isExpired(error) && reason !== this.#told) {
      this.#told = reason;
      this.#options.log.warn(
        { path: this.#options.path, reason, delayMs },
        'cannot follow the API server; the last state stays',
      );
    }
    await this.#pause(delayMs);
  }

  /** The kind is not installed. */
  async #absent(): Promise<void> {
    const { clock, log, path } = this.#options;
    const nowMs = clock.now();
    this.#absentSinceMs ??= nowMs;
    const isGone = this.#held.size === 0 || nowMs - this.#absentSinceMs >= goneAfterMs;
    if (isGone) {
      if (!this.#synced || this.#held.size > 0) log.warn({ path }, 'this kind is not installed; it counts as empty');
      const changed = !this.#synced || this.#held.size > 0;
      this.#held = new Map();
      this.#settle(changed);
    }
    await this.#pause(absentEveryMs * (0.75 + this.#random() * 0.5));
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      this.#wake = () => {
        timer?.cancel();
        resolve();
      };
      timer = this.#options.clock.after(delayMs, resolve);
    });
  }
}
