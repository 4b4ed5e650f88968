/**
 * One client's state-of-the-world stream over the same snapshots: each response carries all resources of a type, in
 * the same make-before-break order. For clients that know no delta, such as gRPC's own.
 */
import { createHash } from 'node:crypto';
import type { DiscoveryRequest } from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import type { Encoded } from '../snapshot/encoded.ts';
import { type ResourceType, resourceTypes, typeOfUrl, typeUrlOf } from '../snapshot/piece.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { AgentStream, StreamEvents, TypeState } from './agent-stream.ts';
import { encodeState } from './frames.ts';
import { ResponseState } from './response-state.ts';
import { before } from './subscription.ts';

interface Typed {
  names: readonly string[];
  wildcard: boolean;
  sent: string | undefined;
  readonly responses: ResponseState;
}

export class StateStream implements AgentStream {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #events: StreamEvents;
  readonly #types = new Map<ResourceType, Typed>();
  #snapshot: Snapshot;
  #nonce = 0;

  constructor(snapshot: Snapshot, send: (bytes: Uint8Array) => void, events: StreamEvents) {
    this.#snapshot = snapshot;
    this.#send = send;
    this.#events = events;
  }

  update(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#pump();
  }

  handle(request: DiscoveryRequest): void {
    const type = typeOfUrl.get(request.typeUrl);
    if (type === undefined) return;
    const held = this.#types.get(type);
    if (held !== undefined && request.responseNonce !== '') held.responses.settle(request);
    const names = [...request.resourceNames].sort();
    const wholesale = type === 'listener' || type === 'cluster';
    const wildcard = names.includes('*') || (names.length === 0 && wholesale);
    const typed = held ?? this.#add(type);
    const stale =
      held !== undefined && request.responseNonce !== '' && request.responseNonce !== String(this.#nonceOf(type));
    if (!stale) {
      if (typed.names.join('\0') !== names.join('\0')) typed.sent = undefined;
      typed.names = names;
      typed.wildcard = wildcard;
    }
    this.#pump();
  }

  get types(): readonly TypeState[] {
    return [...this.#types.values()].map((t) => t.responses.describe(t.wildcard ? ['*'] : t.names));
  }

  get settled(): boolean {
    const all = [...this.#types];
    return (
      all.length > 0 &&
      all.every(([type, t]) => {
        const current = t.sent === this.#versionOf(this.#wanted(type, t));
        return t.responses.inFlight === undefined && t.responses.rejection === undefined && current;
      })
    );
  }

  readonly #lastNonce = new Map<ResourceType, number>();

  #nonceOf(type: ResourceType): number {
    return this.#lastNonce.get(type) ?? 0;
  }

  #add(type: ResourceType): Typed {
    const made: Typed = {
      names: [],
      wildcard: false,
      sent: undefined,
      responses: new ResponseState(type, this.#events),
    };
    this.#types.set(type, made);
    return made;
  }

  #wanted(type: ResourceType, typed: Typed): Encoded[] {
    if (typed.wildcard) return [...this.#snapshot.all(type)];
    return typed.names.flatMap((n) => this.#snapshot.get(type, n) ?? []);
  }

  #versionOf(resources: readonly Encoded[]): string {
    const text = resources.map((r) => `${r.name} ${r.version}`).join('\n');
    return createHash('sha256').update(text).digest('hex').slice(0, 16);
  }

  #pump(): void {
    for (const type of resourceTypes) this.#offer(type);
    this.#events.changed();
  }

  #offer(type: ResourceType): void {
    const typed = this.#types.get(type);
    if (typed === undefined || typed.responses.inFlight !== undefined) return;
    if (before(type).some((t) => this.#types.get(t)?.responses.inFlight !== undefined)) return;
    const resources = this.#wanted(type, typed);
    const version = this.#versionOf(resources);
    if (typed.sent === version) return;
    typed.sent = version;
    const nonce = ++this.#nonce;
    this.#lastNonce.set(type, nonce);
    typed.responses.inFlight = { nonce: String(nonce), version, names: resources.map((r) => r.name) };
    const bytes = resources.map((r) => r.any);
    this.#send(encodeState({ typeUrl: typeUrlOf(type), nonce: String(nonce), version, resources: bytes }));
    this.#events.pushed(type, resources.length, 0);
  }
}
