/** All that one agent gets. Immutable; the part that many agents share is one object in memory. */
import { createHash } from 'node:crypto';
import type { Http2Use } from '../model/http2-use.ts';
import type { MeshPod, World } from '../model/world.ts';
import { type Encoded, EncodedCache } from './encoded.ts';
import { type Piece, type ResourceType, resourceTypes } from './piece.ts';
import { audienceKey, audienceOf, ownPieces, sharedPieces } from './pieces.ts';

type ByType = Readonly<Record<ResourceType, ReadonlyMap<string, Encoded>>>;

interface Layer {
  readonly resources: ByType;
  /** Of all versions in it. */
  readonly digest: string;
}

export interface Snapshot {
  /** Grows by one with each change of the world. */
  readonly revision: number;
  /** Equal for equal content. */
  readonly version: string;
  get(type: ResourceType, name: string): Encoded | undefined;
  all(type: ResourceType): Iterable<Encoded>;
  count(type: ResourceType): number;
}

function layerOf(pieces: readonly Piece[], cache: EncodedCache, fallback: Snapshot | undefined): Layer {
  const resources = Object.fromEntries(resourceTypes.map((t) => [t, new Map<string, Encoded>()])) as Record<
    ResourceType,
    Map<string, Encoded>
  >;
  const digest = createHash('sha256');
  for (const piece of pieces) {
    const encoded = cache.take(piece) ?? fallback?.get(piece.type, piece.name);
    if (encoded === undefined) continue;
    resources[piece.type].set(piece.name, encoded);
    digest.update(`${piece.type} ${piece.name} ${encoded.version}\n`);
  }
  return { resources, digest: digest.digest('hex') };
}

class LayeredSnapshot implements Snapshot {
  readonly revision: number;
  readonly version: string;
  readonly #layers: readonly Layer[];

  constructor(revision: number, layers: readonly Layer[]) {
    this.revision = revision;
    this.#layers = layers;
    this.version = createHash('sha256')
      .update(layers.map((l) => l.digest).join())
      .digest('hex')
      .slice(0, 16);
  }

  get(type: ResourceType, name: string): Encoded | undefined {
    for (const layer of this.#layers) {
      const found = layer.resources[type].get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  *all(type: ResourceType): Iterable<Encoded> {
    for (const layer of this.#layers) yield* layer.resources[type].values();
  }

  count(type: ResourceType): number {
    return this.#layers.reduce((n, l) => n + l.resources[type].size, 0);
  }
}

/** Snapshots of one world, made when an agent first asks; bytes of the world before are used again where they fit. */
export class Translator {
  readonly #cache: EncodedCache;
  #world: World;
  #revision = 0;
  #shared = new Map<string, Layer>();

  /** @param onInvalid told of each resource that breaks a rule of Envoy's API; it is not sent. */
  constructor(world: World, onInvalid: (piece: Piece, reason: string) => void) {
    this.#world = world;
    this.#cache = new EncodedCache(onInvalid);
  }

  get world(): World {
    return this.#world;
  }

  get revision(): number {
    return this.#revision;
  }

  get encodedTotal(): number {
    return this.#cache.made;
  }

  update(world: World): void {
    this.#world = world;
    this.#revision++;
    this.#shared = new Map();
    this.#cache.nextRound();
  }

  /**
   * @param held what the agent was offered before: stands in for a resource that came out invalid
   */
  snapshotFor(pod: MeshPod, http2: Http2Use, held?: Snapshot): Snapshot {
    const audience = audienceOf(pod, http2);
    const key = audienceKey(this.#world, audience);
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      shared = layerOf(sharedPieces(this.#world, audience), this.#cache, held);
      this.#shared.set(key, shared);
    }
    const own = layerOf(ownPieces(this.#world, pod, http2), this.#cache, held);
    return new LayeredSnapshot(this.#revision, [own, shared]);
  }
}
