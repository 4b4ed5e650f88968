/**
 * The gRPC face of aggregated discovery: who calls is settled here, once per stream, then messages go to the stream
 * object. Expected refusals are gRPC statuses with a reason; the log has who and why.
 */

import type { TrustBundle } from '@chainmail/pki';
import { type Clock, type Logger, messageOf } from '@chainmail/runtime';
import { peerSvid, serviceDefinition } from '@chainmail/xds/grpc';
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { AggregatedDiscoveryService } from '@chainmail/xds/proto/envoy/service/discovery/v3/ads';
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { AgentStream } from './agent-stream.ts';
import { DeltaStream } from './delta-stream.ts';
import type { Agent, Fleet } from './fleet.ts';
import { admit, claimedPod, http2UseOf } from './node-identity.ts';
import { StateStream } from './state-stream.ts';

export interface AdsOptions {
  readonly fleet: Fleet;
  /** The bundles to check clients against, now. */
  readonly bundles: () => readonly TrustBundle[];
  readonly clock: Clock;
  readonly log: Logger;
  /** How long a client may wait for its pod to become known. */
  readonly podWaitMs?: number;
}

export const adsDefinition = serviceDefinition(AggregatedDiscoveryService);

/** A pod reconnects before its old stream is known to be dead; this many at once is an agent gone wild, or an attack. */
const maxStreamsOfPod = 16;

/** Requests that come before the client is admitted; more than this is no client of ours. */
const maxHeld = 64;

interface DiscoveryMessage {
  readonly node?: Node | undefined;
}

type Call<R> = ServerDuplexStream<R, Uint8Array>;

interface Variant<R extends DiscoveryMessage, S extends AgentStream & { handle(request: R): void }> {
  readonly protocol: Agent['protocol'];
  make(...args: ConstructorParameters<typeof DeltaStream>): S;
}

class Refused extends Error {
  readonly code: status;
  constructor(code: status, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Resolves when the pod is known and the caller is its service account. */
function admission(options: AdsOptions, podKey: string, spiffeId: string, ended: AbortSignal) {
  const { fleet, clock, podWaitMs = 5000 } = options;
  return new Promise<Extract<ReturnType<typeof admit>, { verdict: 'admitted' }>['pod']>((resolve, reject) => {
    const look = (last: boolean): boolean => {
      const result = admit(fleet.world, podKey, spiffeId);
      if (result.verdict === 'unknown-pod' && !last) return false;
      timer.cancel();
      unsubscribe();
      if (result.verdict === 'admitted') resolve(result.pod);
      else reject(new Refused(status.PERMISSION_DENIED, result.reason));
      return true;
    };
    const unsubscribe = fleet.onWorld(() => look(false));
    const timer = clock.after(podWaitMs, () => look(true));
    ended.addEventListener('abort', () => {
      timer.cancel();
      unsubscribe();
      reject(new Refused(status.CANCELLED, 'the client went away'));
    });
    look(false);
  });
}

async function serve<R extends DiscoveryMessage, S extends AgentStream & { handle(request: R): void }>(
  call: Call<R>,
  variant: Variant<R, S>,
  options: AdsOptions,
): Promise<void> {
  const { fleet, clock, log } = options;
  const svid = peerSvid(call, options.bundles(), clock.now());
  if (!svid.ok) throw new Refused(status.UNAUTHENTICATED, svid.reason);
  const held: R[] = [];
  let deliver = (request: R): void => {
    held.push(request);
    if (held.length > maxHeld) call.destroy();
  };
  const ended = new AbortController();
  const first = new Promise<R>((resolve) => call.once('data', resolve));
  call.on('data', (request: R) => deliver(request));
  call.once('close', () => ended.abort());
  call.once('cancelled', () => ended.abort());
  call.once('error', () => ended.abort());
  const { node } = await first;
  const podKey = node === undefined ? undefined : claimedPod(node);
  if (node === undefined || podKey === undefined) {
    throw new Refused(status.INVALID_ARGUMENT, 'the first request must have a node that names its pod and namespace');
  }
  const pod = await admission(options, podKey, svid.spiffeId, ended.signal);
  if (fleet.agents.filter((a) => a.pod === podKey).length >= maxStreamsOfPod) {
    throw new Refused(status.RESOURCE_EXHAUSTED, `pod ${podKey} has ${maxStreamsOfPod} streams already`);
  }
  let opened: S | undefined;
  const { stream, leave } = fleet.join(pod, {
    pod: podKey,
    spiffeId: svid.spiffeId,
    node: node.id,
    protocol: variant.protocol,
    connectedAtMs: clock.now(),
    http2: http2UseOf(node),
    open: (snapshot, events) => {
      opened = variant.make(snapshot, (bytes) => call.write(bytes), events);
      return opened;
    },
  });
  log.info({ agent: podKey, spiffeId: svid.spiffeId, protocol: variant.protocol }, 'agent connected');
  const target = opened;
  if (target === undefined || target !== stream) throw new Error('the fleet did not open the stream');
  deliver = (request) => target.handle(request);
  for (const request of held.splice(0)) target.handle(request);
  const gone = (): void => {
    leave();
    log.info({ agent: podKey }, 'agent disconnected');
  };
  if (ended.signal.aborted) gone();
  else ended.signal.addEventListener('abort', gone);
  call.once('end', () => call.end());
}

function handler<R extends DiscoveryMessage, S extends AgentStream & { handle(request: R): void }>(
  variant: Variant<R, S>,
  options: AdsOptions,
): (call: Call<R>) => void {
  return (call) => {
    call.on('error', () => {}); // a client that goes away is an end, not a fault
    serve(call, variant, options).catch((error: unknown) => {
      const refused = error instanceof Refused;
      const code = refused ? error.code : status.INTERNAL;
      if (code !== status.CANCELLED)
        options.log.warn({ code: status[code], reason: messageOf(error) }, 'stream refused');
      call.emit('error', { code, details: refused ? error.message : 'internal error' });
    });
  };
}

/** Handlers of AggregatedDiscoveryService. */
export function adsHandlers(options: AdsOptions): UntypedServiceImplementation {
  const delta: Variant<DeltaDiscoveryRequest, DeltaStream> = {
    protocol: 'delta',
    make: (...args) => new DeltaStream(...args),
  };
  const state: Variant<DiscoveryRequest, StateStream> = {
    protocol: 'state-of-the-world',
    make: (...args) => new StateStream(...args),
  };
  return {
    deltaAggregatedResources: handler(delta, options),
    streamAggregatedResources: handler(state, options),
  };
}
