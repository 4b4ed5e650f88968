/** The control plane assembled: source, store, world, fleet and its two listeners. */
import type { WorkloadIdentity } from '@chainmail/pki';
import { type Clock, type Logger, messageOf, type Timer, UserError } from '@chainmail/runtime';
import { spiffeServerCredentials } from '@chainmail/xds/grpc';
import { Server } from '@grpc/grpc-js';
import { buildWorld } from '../model/build-world.ts';
import type { Source } from '../source/source.ts';
import { StatusDir } from '../status/status-dir.ts';
import { ObjectStore } from '../store/object-store.ts';
import { adsDefinition, adsHandlers } from '../xds/ads-service.ts';
import { Fleet } from '../xds/fleet.ts';
import { startMetricsServer } from './metrics-server.ts';
import type { Address } from './options.ts';
import { Reporter } from './reporter.ts';

export interface ControlPlaneOptions {
  readonly source: Source;
  readonly identity: WorkloadIdentity;
  readonly trustDomain: string;
  readonly listen: Address;
  readonly metricsListen: Address;
  readonly statusDir: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ControlPlane {
  readonly port: number;
  readonly metricsPort: number;
  readonly fleet: Fleet;
  close(): Promise<void>;
}

/** Changes that come together become one push. */
const coalesceMs = 30;

/** Streams are long and mostly silent: pings find the dead ones. */
const channelOptions = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_concurrent_streams': 16,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
} as const;

function bind(
  server: Server,
  { host, port }: Address,
  credentials: Parameters<Server['bindAsync']>[1],
): Promise<number> {
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(at, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new UserError('LISTEN', `cannot listen on ${at}: ${error.message}`, { cause: error }));
    });
  });
}

/** Follows the source; the first world is there when this returns. */
function follow(options: ControlPlaneOptions) {
  const { source, trustDomain, clock, log, statusDir } = options;
  const store = new ObjectStore();
  const dir = statusDir === undefined ? undefined : new StatusDir(statusDir, log);
  const reporter = new Reporter(() => fleet, dir, clock, log);
  const fleet: Fleet = new Fleet(buildWorld(trustDomain, []), log, () => reporter.refresh());
  let timer: Timer | undefined;
  let state = store.apply({ objects: [], problems: [] });
  const publish = (): void => {
    timer = undefined;
    fleet.publish(buildWorld(trustDomain, state.objects, state.broken));
    reporter.take(state, fleet.revision);
    log.info({ revision: fleet.revision, objects: state.objects.length, agents: fleet.agents.length }, 'published');
  };
  let first = true;
  const watch = source.start((loaded) => {
    try {
      state = store.apply(loaded);
    } catch (error) {
      log.error({ err: error }, 'objects could not be taken in; the last state stays');
      return;
    }
    if (first) publish();
    else timer ??= clock.after(coalesceMs, publish);
    first = false;
  });
  const stop = (): void => {
    watch.close();
    timer?.cancel();
  };
  return { fleet, reporter, stop };
}

/** @throws UserError LISTEN when a port is taken. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { identity, clock, log } = options;
  const { fleet, reporter, stop } = follow(options);
  const bundles = () => {
    const held = identity.current();
    return held === undefined ? [] : [held.bundle];
  };
  const server = new Server(channelOptions);
  server.addService({ ...adsDefinition }, adsHandlers({ fleet, bundles, clock, log }));
  const credentials = spiffeServerCredentials({ identity, clients: 'with-certificate' });
  const closeAll = async (): Promise<void> => {
    stop();
    server.forceShutdown();
    credentials.close();
  };
  try {
    const port = await bind(server, options.listen, credentials);
    const metrics = await startMetricsServer(
      {
        fleet,
        reporter,
        ready: () => identity.current() !== undefined,
        certificateNotAfterMs: () => identity.current()?.notAfterMs,
      },
      options.metricsListen,
    );
    log.info({ port, metricsPort: metrics.port }, 'listening');
    return {
      port,
      metricsPort: metrics.port,
      fleet,
      close: async () => {
        await metrics.close();
        await closeAll();
        reporter.flush();
      },
    };
  } catch (error) {
    await closeAll();
    throw error instanceof UserError ? error : new UserError('LISTEN', messageOf(error), { cause: error });
  }
}
