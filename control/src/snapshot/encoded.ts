/**
 * Resources as bytes, each encoded once however many agents take it. Invariant: the version is a hash of the bytes,
 * so the same resource has the same version in every replica and after every restart.
 */
import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { ResourceSchema } from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { type Piece, type ResourceType, schemas, typeUrlOf } from './piece.ts';

export interface Encoded {
  readonly type: ResourceType;
  readonly name: string;
  readonly version: string;
  /** google.protobuf.Any, for state of the world. */
  readonly any: Uint8Array;
  /** envoy.service.discovery.v3.Resource with name, version and the Any, for delta. */
  readonly resource: Uint8Array;
}

function encode(piece: Piece): Encoded {
  const message = piece.make();
  const value = toBinary(schemas[piece.type], message as never);
  const version = createHash('sha256').update(value).digest('hex').slice(0, 16);
  const any = create(AnySchema, { typeUrl: typeUrlOf(piece.type), value });
  const resource = create(ResourceSchema, { name: piece.name, version, resource: any });
  return {
    type: piece.type,
    name: piece.name,
    version,
    any: toBinary(AnySchema, any),
    resource: toBinary(ResourceSchema, resource),
  };
}

/** Bytes by the data they were made from; what a round of translation did not ask for is forgotten after it. */
export class EncodedCache {
  #last = new Map<string, Encoded>();
  #current = new Map<string, Encoded>();
  #made = 0;

  /** Resources encoded since the start: a push that changes little encodes little. */
  get made(): number {
    return this.#made;
  }

  take(piece: Piece): Encoded {
    const key = `${piece.type}\0${piece.name}\0${JSON.stringify(piece.model)}`;
    const held = this.#current.get(key) ?? this.#last.get(key);
    const encoded = held ?? encode(piece);
    if (held === undefined) this.#made++;
    this.#current.set(key, encoded);
    return encoded;
  }

  /** Begins the next round. */
  nextRound(): void {
    this.#last = this.#current;
    this.#current = new Map();
  }
}
