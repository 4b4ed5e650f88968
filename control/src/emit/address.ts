/** Addresses, and how long a connection may stay silent while its protocol is looked for. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import type { AddressSchema, CidrRangeSchema } from '@chainmail/xds/proto/envoy/config/core/v3/address';
import { duration } from './any.ts';

export type Address = MessageInitShape<typeof AddressSchema>;

export const socketAddress = (address: string, portValue: number): Address => ({
  address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: portValue } } },
});

/** The range that holds just this address. */
export const host = (address: string): MessageInitShape<typeof CidrRangeSchema> => ({
  addressPrefix: address,
  prefixLen: address.includes(':') ? 128 : 32,
});

/**
 * After this a connection whose client says nothing counts as one in which the server speaks first. It then goes to
 * the opaque chain, never to one that a policy on requests would have to guard: those exist on the inbound side only.
 */
export const detectionTimeout: Duration = duration(1000);
