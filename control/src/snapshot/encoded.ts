/**
 * Resources as bytes, each encoded once however many agents take it. Invariant: the version is a hash of the bytes,
 * so the same resource has the same version in every replica and after every restart.
 */
import { createHash } from 'node:crypto';
import { create, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { validateMessage } from '@chainmail/xds';
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

type Outcome = { readonly ok: true; readonly encoded: Encoded } | { readonly ok: false; readonly reason: string };

function encode(piece: Piece): Outcome {
  const schema = schemas[piece.type];
  const message = piece.make();
  const [problem] = validateMessage(schema, message);
  if (problem !== undefined) return { ok: false, reason: `${problem.path}: ${problem.reason}` };
  const value = toBinary(schema, message as MessageShape<typeof schema>);
  const version = createHash('sha256').update(value).digest('hex').slice(0, 16);
  const any = create(AnySchema, { typeUrl: typeUrlOf(piece.type), value });
  const resource = create(ResourceSchema, { name: piece.name, version, resource: any });
  const { type, name } = piece;
  const bytes = { any: toBinary(AnySchema, any), resource: toBinary(ResourceSchema, resource) };
  return { ok: true, encoded: { type, name, version, ...bytes } };
}

/**
 * Bytes by the data they were made from; what a round of translation did not ask for is forgotten after it. What
 * breaks a rule of Envoy's API is a fault of ours: it is reported and not sent, and the agents keep what they have.
 */
export class EncodedCache {
  #last = new Map<string, Outcome>();
  #current = new Map<string, Outcome>();
  #made = 0;
  readonly #onInvalid: (piece: Piece, reason: string) => void;

  constructor(onInvalid: (piece: Piece, reason: string) => void) {
    this.#onInvalid = onInvalid;
  }

  /** Resources encoded since the start: a push that changes little encodes little. */
  get made(): number {
    return this.#made;
  }

  /** Undefined when the piece is not valid. */
  take(piece: Piece): Encoded | undefined {
    const key = `${piece.type}\0${piece.name}\0${JSON.stringify(piece.model)}`;
    const held = this.#current.get(key) ?? this.#last.get(key);
    const outcome = held ?? encode(piece);
    if (held === undefined) this.#made++;
    this.#current.set(key, outcome);
    if (outcome.ok) return outcome.encoded;
    if (held === undefined) this.#onInvalid(piece, outcome.reason);
    return undefined;
  }

  /** Begins the next round. */
  nextRound(): void {
    this.#last = this.#current;
    this.#current = new Map();
  }
}
