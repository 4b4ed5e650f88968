/**
 * One agent's delta stream, apart from its transport. Make before break: listeners and routes go out only when the
 * clusters and endpoints before them are acknowledged; clusters and endpoints go away only when listeners and routes
 * have settled. One response of a type is under way at a time.
 */
import type { DeltaDiscoveryRequest } from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { type ResourceType, resourceTypes, typeOfUrl, typeUrlOf } from '../snapshot/piece.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { AgentStream, StreamEvents, TypeState } from './agent-stream.ts';
import { encodeDelta } from './frames.ts';
import { ResponseState } from './response-state.ts';
import { after, before, Subscription } from './subscription.ts';

interface Typed {
  readonly subscription: Subscription;
  readonly responses: ResponseState;
  answered: boolean;
}

export class DeltaStream implements AgentStream {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #events: StreamEvents;
  readonly #types = new Map<ResourceType, Typed>();
  #snapshot: Snapshot;
  #nonce = 0;
  #settled: boolean | undefined;

  constructor(snapshot: Snapshot, send: (bytes: Uint8Array) => void, events: StreamEvents) {
    this.#snapshot = snapshot;
    this.#send = send;
    this.#events = events;
  }

  update(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#pump();
  }

  handle(request: DeltaDiscoveryRequest): void {
    const type = typeOfUrl.get(request.typeUrl);
    if (type === undefined) {
      this.#answerUnknown(request);
      return;
    }
    const typed = this.#typed(type);
    if (request.responseNonce !== '') typed.responses.settle(request);
    typed.subscription.apply({
      subscribe: request.resourceNamesSubscribe,
      unsubscribe: request.resourceNamesUnsubscribe,
      initial: request.initialResourceVersions,
    });
    this.#pump();
  }

  get types(): readonly TypeState[] {
    return [...this.#types.values()].map((t) => t.responses.describe(t.subscription.names));
  }

  /** Everything subscribed to is sent, acknowledged and not refused. Asked often, so it is worked out once a change. */
  get settled(): boolean {
    this.#settled ??= this.#isSettled();
    return this.#settled;
  }

  #isSettled(): boolean {
    const all = [...this.#types.values()];
    const open = all.some(({ responses }) => responses.inFlight !== undefined || responses.rejection !== undefined);
    return this.#types.size > 0 && !open && !resourceTypes.some((t) => this.#differs(t));
  }

  #typed(type: ResourceType): Typed {
    const held = this.#types.get(type);
    if (held !== undefined) return held;
    const made: Typed = {
      subscription: new Subscription(type),
      responses: new ResponseState(type, this.#events),
      answered: false,
    };
    this.#types.set(type, made);
    return made;
  }

  /** A type we have nothing of: said once, so that the client does not wait for it. */
  #answerUnknown(request: DeltaDiscoveryRequest): void {
    if (request.responseNonce !== '' && request.resourceNamesSubscribe.length === 0) return;
    const nonce = String(++this.#nonce);
    const removed = request.resourceNamesSubscribe.filter((n) => n !== '*');
    this.#send(encodeDelta({ typeUrl: request.typeUrl, nonce, version: '', resources: [], removed }));
  }

  #differs(type: ResourceType): boolean {
    const typed = this.#types.get(type);
    if (typed === undefined) return false;
    const { changed, removed } = typed.subscription.difference(this.#snapshot, true);
    return changed.length > 0 || removed.length > 0;
  }

  #isInFlight(type: ResourceType): boolean {
    return this.#types.get(type)?.responses.inFlight !== undefined;
  }

  /** An agent that refused a listener or route goes on with its old one, which refers to what it always did. */
  #mayStillRefer(type: ResourceType): boolean {
    const isRefused = this.#types.get(type)?.responses.rejection !== undefined;
    return this.#isInFlight(type) || isRefused || this.#differs(type);
  }

  #pump(): void {
    for (const type of resourceTypes) this.#offer(type);
    this.#settled = undefined;
    this.#events.changed();
  }

  #offer(type: ResourceType): void {
    const typed = this.#types.get(type);
    if (typed === undefined || typed.responses.inFlight !== undefined) return;
    if (before(type).some((t) => this.#isInFlight(t))) return;
    const withRemovals = !after(type).some((t) => this.#mayStillRefer(t));
    const difference = typed.subscription.difference(this.#snapshot, withRemovals);
    const { changed, removed } = difference;
    if (typed.answered && changed.length === 0 && removed.length === 0) return;
    typed.answered = true;
    typed.subscription.sent(difference);
    const nonce = String(++this.#nonce);
    const { version } = this.#snapshot;
    typed.responses.inFlight = { nonce, version, names: changed.map((c) => c.name) };
    const resources = changed.map((c) => c.resource);
    this.#send(encodeDelta({ typeUrl: typeUrlOf(type), nonce, version, resources, removed }));
    this.#events.pushed(type, changed.length, removed.length);
  }
}
