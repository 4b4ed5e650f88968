/**
 * Discovery responses put together from bytes that exist already. In protobuf a message is the concatenation of its
 * fields, so a repeated field may be appended to the rest without decoding anything.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';

/** Both DeltaDiscoveryResponse and DiscoveryResponse hold their resources in field 2, length-delimited. */
const resourcesTag = (2 << 3) | 2;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

function append(head: Uint8Array, resources: readonly Uint8Array[]): Uint8Array {
  const parts = resources.flatMap((r) => [Uint8Array.from([resourcesTag, ...varint(r.length)]), r]);
  return Buffer.concat([head, ...parts]);
}

export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  /** Encoded envoy.service.discovery.v3.Resource. */
  readonly resources: readonly Uint8Array[];
  readonly removed: readonly string[];
}

export function encodeDelta(r: DeltaResponse): Uint8Array {
  const head = create(DeltaDiscoveryResponseSchema, {
    typeUrl: r.typeUrl,
    nonce: r.nonce,
    systemVersionInfo: r.version,
    removedResources: [...r.removed],
  });
  return append(toBinary(DeltaDiscoveryResponseSchema, head), r.resources);
}

export interface StateResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  /** Encoded google.protobuf.Any. */
  readonly resources: readonly Uint8Array[];
}

export function encodeState(r: StateResponse): Uint8Array {
  const head = create(DiscoveryResponseSchema, { typeUrl: r.typeUrl, nonce: r.nonce, versionInfo: r.version });
  return append(toBinary(DiscoveryResponseSchema, head), r.resources);
}
