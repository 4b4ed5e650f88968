/** The control plane assembled: source, store, world, fleet and its two listeners. */
import type { WorkloadIdentity } from '@chainmail/pki';
import { type Clock, type Logger, messageOf, type Timer, UserError } from '@chainmail/runtime';
import { spiffeServerCredentials } from '@chainmail/xds/grpc';
import { Server } from '@grpc/grpc-js';
import { buildWorld } from '../model/build-world.ts';
import type { Source } from '../source/source.ts';
import type { StatusSink } from '../status/status.ts';
import { ObjectStore } from '../store/object-store.ts';
import { adsDefinition, adsHandlers } from '../xds/ads-service.ts';
import { Fleet } from '../xds/fleet.ts';
import { type SourceFigures, startMetricsServer } from './metrics-server.ts';
import type { Address } from './options.ts';
import { Reporter } from './reporter.ts';

export interface ControlPlaneOptions {
  readonly source: Source;
  readonly identity: WorkloadIdentity;
  readonly trustDomain: string;
  readonly listen: Address;
  readonly metricsListen: Address;
  /** Absent: statuses are nobody's. */
  readonly statusSink: StatusSink | undefined;
  /** Whether this replica writes statuses, and how the source fares: for metrics. */
  readonly figures?: () => SourceFigures;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ControlPlane {
  readonly port: number;
  readonly metricsPort: number;
  readonly fleet: Fleet;
  /** Tells the statuses again. */
  refresh(): void;
  /** Not ready from now on, while it goes on serving: others must hear of it before the end. */
  leave(): void;
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

/** Follows the source; `first` resolves when the first world is there. */
function follow(options: ControlPlaneOptions) {
  const { source, trustDomain, clock, log, statusSink } = options;
  const store = new ObjectStore();
  const reporter = new Reporter(() => fleet, statusSink, clock, log);
  const fleet: Fleet = new Fleet(buildWorld(trustDomain, []), log, () => reporter.refresh());
  let timer: Timer | undefined;
  let state = store.apply({ objects: [], problems: [] });
  const publish = (): void => {
    timer = undefined;
    fleet.publish(buildWorld(trustDomain, state.objects, state.broken));
    reporter.take(state, fleet.revision);
    log.info({ revision: fleet.revision, objects: state.objects.length, agents: fleet.agents.length }, 'published');
  };
  const first = Promise.withResolvers<void>();
  let isFirst = true;
  const watch = source.start((loaded) => {
    try {
      state = store.apply(loaded);
    } catch (error) {
      log.error({ err: error }, 'objects could not be taken in; the last state stays');
      return;
    }
    if (isFirst) publish();
    else timer ??= clock.after(coalesceMs, publish);
    isFirst = false;
    first.resolve();
  });
  const stop = (): void => {
    watch.close();
    timer?.cancel();
  };
  return { fleet, reporter, stop, first: first.promise };
}

/**
 * Health and metrics are served at once, agents when the first objects have been read: an empty world would take
 * their configuration away. @throws UserError LISTEN when a port is taken.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { identity, clock, log, figures } = options;
  const { fleet, reporter, stop, first } = follow(options);
  let serving = false;
  const bundles = () => {
    const held = identity.current();
    return held === undefined ? [] : [held.bundle];
  };
  const server = new Server(channelOptions);
  server.addService({ ...adsDefinition }, adsHandlers({ fleet, bundles, clock, log }));
  const credentials = spiffeServerCredentials({ identity, clients: 'with-certificate' });
  const closers: (() => void | Promise<void>)[] = [stop, () => server.forceShutdown(), () => credentials.close()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers) await close();
  };
  try {
    const metrics = await startMetricsServer(
      {
        fleet,
        reporter,
        ready: () => serving && identity.current() !== undefined,
        certificateNotAfterMs: () => identity.current()?.notAfterMs,
        ...(figures === undefined ? {} : { source: figures }),
      },
      options.metricsListen,
    );
    closers.unshift(() => metrics.close());
    await first;
    const port = await bind(server, options.listen, credentials);
    serving = true;
    log.info({ port, metricsPort: metrics.port }, 'listening');
    return {
      port,
      metricsPort: metrics.port,
      fleet,
      refresh: () => reporter.refresh(),
      leave: () => {
        serving = false;
      },
      close: async () => {
        await closeAll();
        reporter.flush();
      },
    };
  } catch (error) {
    await closeAll();
    throw error instanceof UserError ? error : new UserError('LISTEN', messageOf(error), { cause: error });
  }
}
