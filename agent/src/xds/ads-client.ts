/**
 * The incremental ADS client: one stream for clusters, endpoints, listeners, routes and runtime layers. It subscribes to what the
 * configuration refers to, acknowledges what took effect, refuses what did not with the reason, and comes back with
 * the versions it holds. Invariant: nothing that happens to the stream changes the configuration.
 */
import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { Backoff, type Clock, type Logger, type Timer } from '@chainmail/runtime';
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { messageNamed } from '@chainmail/xds/registry';
import { AdsStats } from './ads-stats.ts';
import type { ApplyResult, DiscoveredResource } from './live-config.ts';
import { kindOf, type NamedKind, type ResourceKind, resourceTypes } from './resource-types.ts';

export interface AdsStream {
  send(request: DeltaDiscoveryRequest): void;
  end(): void;
}

export interface AdsStreamEvents {
  onResponse(response: DeltaDiscoveryResponse): void;
  /** Once; nothing comes after it. */
  onClosed(reason: string): void;
}

export type OpenAdsStream = (events: AdsStreamEvents) => AdsStream;

/** What of LiveConfig the client drives. */
export interface AdsTarget {
  apply(kind: ResourceKind, resources: readonly DiscoveredResource[], removed: readonly string[]): ApplyResult;
  wanted(kind: NamedKind): ReadonlySet<string>;
  giveUpWaiting(kind: ResourceKind): void;
}

export interface AdsClientOptions {
  readonly open: OpenAdsStream;
  readonly target: AdsTarget;
  readonly node: Node;
  readonly clock: Clock;
  readonly log: Logger;
  readonly cds: boolean;
  readonly lds: boolean;
  readonly random?: () => number;
}

/** Envoy's default of initial_fetch_timeout, for the first answer to CDS and to LDS. */
const firstAnswerMs = 15_000;
/** Jittered, and a reconnect with known versions costs the server little: five seconds keep edits prompt after an outage. */
const backoffMs = { baseMs: 200, maxMs: 5_000 } as const;
/** google.rpc.Code INVALID_ARGUMENT. */
const invalidArgument = 3;
/** A NACK's text ends here: it travels in a message and stands in a status. */
const maxReasonLength = 4096;

interface Subscribed extends Record<NamedKind, ReadonlySet<string>> {
  cds: boolean;
  lds: boolean;
}

const nothingSubscribed = (): Subscribed => ({
  cds: false,
  lds: false,
  eds: new Set(),
  rds: new Set(),
  rtds: new Set(),
});

export class AdsClient {
  readonly stats: AdsStats;
  readonly #options: AdsClientOptions;
  readonly #backoff: Backoff;
  /** Versions held, by type and name; they outlive the stream. */
  readonly #versions: Record<ResourceKind, Map<string, string>> = {
    cds: new Map(),
    eds: new Map(),
    lds: new Map(),
    rds: new Map(),
    rtds: new Map(),
  };
  /** What this stream has subscribed to; a wildcard for CDS and LDS. */
  #subscribed = nothingSubscribed();
  #stream: AdsStream | null = null;
  #nodeSent = false;
  #timer: Timer | null = null;
  #waits: Timer[] = [];
  #stopped = false;
  #clustersKnown: boolean;

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#clustersKnown = !options.cds;
    this.#backoff = new Backoff({ ...backoffMs, ...(options.random === undefined ? {} : { random: options.random }) });
    this.stats = new AdsStats(options.clock);
  }

  start(): void {
    const { cds, clock, target } = this.#options;
    if (target.wanted('rtds').size > 0) {
      this.#waits.push(clock.after(firstAnswerMs, () => target.giveUpWaiting('rtds')));
    }
    if (cds) {
      this.#waits.push(
        clock.after(firstAnswerMs, () => {
          target.giveUpWaiting('cds');
          this.#nowClustersAreKnown();
        }),
      );
    } else this.#awaitListeners();
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const wait of this.#waits) wait.cancel();
    this.#stream?.end();
    this.#stream = null;
  }

  #connect(): void {
    if (this.#stopped) return;
    this.stats.attempts++;
    this.#subscribed = nothingSubscribed();
    this.#nodeSent = false;
    // Events of a stream that was given up are not ours any more.
    let live = true;
    const stream = this.#options.open({
      onResponse: (response) => {
        if (live) this.#onResponse(response);
      },
      onClosed: (reason) => {
        if (!live) return;
        live = false;
        this.#onClosed(reason);
      },
    });
    this.#stream = stream;
    this.#subscribe();
  }

  #onClosed(reason: string): void {
    this.#stream = null;
    if (this.#stopped) return;
    const retryInMs = Math.round(this.#backoff.next());
    this.#options.log.warn({ reason, retryInMs }, 'the control plane is away; the configuration stays');
    this.stats.closed(reason);
    this.#timer = this.#options.clock.after(retryInMs, () => this.#connect());
  }

  /**
   * Brings the subscriptions of the stream to what is wanted now. CDS comes before LDS, because routes need their
   * clusters, and the runtime before all, because it has a say in what everything else means.
   */
  #subscribe(): void {
    if (this.#stream === null) return;
    const { cds, lds } = this.#options;
    this.#subscribeNames('rtds');
    if (cds && !this.#subscribed.cds) this.#subscribeAll('cds');
    this.#subscribeNames('eds');
    if (lds && this.#clustersKnown && !this.#subscribed.lds) this.#subscribeAll('lds');
    this.#subscribeNames('rds');
  }

  #subscribeAll(kind: 'cds' | 'lds'): void {
    this.#subscribed[kind] = true;
    this.#send(kind, { initialResourceVersions: Object.fromEntries(this.#versions[kind]) });
  }

  #subscribeNames(kind: NamedKind): void {
    const wanted = this.#options.target.wanted(kind);
    const had = this.#subscribed[kind];
    const versions = this.#versions[kind];
    const added = [...wanted].filter((name) => !had.has(name));
    const dropped = [...had].filter((name) => !wanted.has(name));
    for (const name of versions.keys()) if (!wanted.has(name)) versions.delete(name);
    if (added.length === 0 && dropped.length === 0) return;
    const isFirst = had.size === 0;
    this.#subscribed[kind] = new Set(wanted);
    this.#send(kind, {
      resourceNamesSubscribe: added,
      resourceNamesUnsubscribe: dropped,
      ...(isFirst ? { initialResourceVersions: Object.fromEntries(versions) } : {}),
    });
  }

  #send(kind: ResourceKind, fields: Partial<DeltaDiscoveryRequest>): void {
    const node = this.#nodeSent ? {} : { node: this.#options.node };
    this.#nodeSent = true;
    const init = { typeUrl: resourceTypes[kind], ...fields, ...node };
    this.#stream?.send(
      create(
        messageNamed('envoy.service.discovery.v3.DeltaDiscoveryRequest'),
        init as MessageShape<DescMessage>,
      ) as DeltaDiscoveryRequest,
    );
  }

  #onResponse(response: DeltaDiscoveryResponse): void {
    const kind = kindOf(response.typeUrl);
    this.stats.connected(response.controlPlane?.identifier ?? '');
    this.#backoff.reset();
    if (kind === undefined) {
      this.#options.log.warn({ typeUrl: response.typeUrl }, 'a response of a type nobody asked for');
      return;
    }
    const { errors, accepted } = this.#apply(kind, response);
    for (const [name, version] of accepted) this.#versions[kind].set(name, version);
    for (const name of response.removedResources) this.#versions[kind].delete(name);
    this.#acknowledge(kind, response, errors);
    if (kind === 'cds') this.#nowClustersAreKnown();
    this.#subscribe();
  }

  #apply(kind: ResourceKind, response: DeltaDiscoveryResponse): ApplyResult {
    const found = response.resources.flatMap(({ name, version, resource }) =>
      resource === undefined ? [] : [{ name, version, resource }],
    );
    return this.#options.target.apply(kind, found, response.removedResources);
  }

  #acknowledge(kind: ResourceKind, response: DeltaDiscoveryResponse, errors: readonly string[]): void {
    const { log } = this.#options;
    const { nonce, resources, removedResources } = response;
    const summary = { type: kind, resources: resources.length, removed: removedResources.length };
    if (errors.length === 0) {
      this.stats.updated(kind, response.systemVersionInfo);
      log.debug(summary, 'configuration updated');
      this.#send(kind, { responseNonce: nonce });
      return;
    }
    const message = errors.join('\n').slice(0, maxReasonLength);
    this.stats.rejected(kind, message);
    log.warn({ ...summary, reason: message }, 'configuration refused; what was there stays');
    const errorDetail = { code: invalidArgument, message } as unknown as NonNullable<
      DeltaDiscoveryRequest['errorDetail']
    >;
    this.#send(kind, { responseNonce: nonce, errorDetail });
  }

  #nowClustersAreKnown(): void {
    if (this.#clustersKnown) return;
    this.#clustersKnown = true;
    this.#awaitListeners();
    this.#subscribe();
  }

  #awaitListeners(): void {
    const { lds, clock, target } = this.#options;
    if (lds) this.#waits.push(clock.after(firstAnswerMs, () => target.giveUpWaiting('lds')));
  }
}
