/** Every command of the admin interface: its path, what it does, and whether it changes something. */
import type { Clock, Logger } from '@chainmail/runtime';
import { levelName, parseLevel } from '../bootstrap/process-log.ts';
import type { ServerState } from '../bootstrap/server-state.ts';
import { addressText } from '../config/address.ts';
import type { RuntimeValues } from '../config/runtime.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { ClusterHosts, EdgeCount } from '../model/update.ts';
import type { StatRegistry } from '../stats/registry.ts';
import { renderStats } from '../stats/render.ts';
import type { LiveConfig } from '../xds/live-config.ts';
import { certsResponse } from './certs.ts';
import { clustersResponse, sumHosts } from './clusters.ts';
import { type AdminCommand, type AdminResponse, json, ok, text } from './command.ts';
import { configDump } from './config-dump.ts';
import type { DumpSources } from './dump-parts.ts';
import { helpText } from './server.ts';
import { type ServerInfoSources, serverInfo } from './server-info.ts';

export interface AdminContext extends DumpSources, ServerInfoSources {
  readonly state: ServerState;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: StatRegistry;
  readonly version: DumpSources['version'];
  hosts(): Promise<readonly (readonly ClusterHosts[])[]>;
  edges(): readonly EdgeCount[];
  drainListeners(direction: 'inbound' | 'all', graceful: boolean): void;
  readonly runtime: RuntimeValues;
  /** False without an admin layer. */
  modifyRuntime(changes: Iterable<readonly [string, string]>): boolean;
  reopenLogs(): void;
  quit(): void;
}

export function adminCommands(context: AdminContext): readonly AdminCommand[] {
  const { live, state, registry, clock } = context;
  const commands: AdminCommand[] = [
    read('/', 'this list', () => text(helpText(commands))),
    read('/help', 'this list', () => text(`admin commands are:\n${helpText(commands)}`)),
    read('/ready', 'print server state, 200 if it is LIVE', () => readyResponse(state)),
    read('/stats', 'print statistics (format=text|json|prometheus, filter=REGEX, usedonly)', (q) =>
      statsOf(registry, q),
    ),
    read('/stats/prometheus', 'print statistics for Prometheus', (q) => {
      q.set('format', 'prometheus');
      return statsOf(registry, q);
    }),
    read('/clusters', 'clusters and their hosts (format=json, filter=REGEX)', async (q) =>
      clustersResponse(sumHosts(await context.hosts()), live, q),
    ),
    read('/listeners', 'listener addresses (format=json)', (q) => listenersResponse(context, q)),
    read('/config_dump', 'the configuration in use (resource=FIELD, mask=FIELDS, name_regex=REGEX, include_eds)', (q) =>
      configDump(context, q),
    ),
    read('/certs', 'certificates in use', () => certsResponse(live.held.secrets.values(), clock.now())),
    read('/server_info', 'version, state and command line', () => serverInfo(context, context.clock.now())),
    read('/memory', 'memory of the process', () => memoryResponse()),
    read('/runtime', 'print runtime values', () => json(context.runtime.json())),
    read('/contention', 'mutexes: there are none', () => text('Mutex contention tracing is not enabled.\n')),
    read('/hot_restart_version', 'print the hot restart compatibility version', () => text('disabled')),
    read('/init_dump', 'what the start waits for', () => json(initDump(live))),
    read('/edges', 'who talked to whom, with which identities', () => json({ edges: context.edges() })),
    change('/logging', 'set the level (level=debug)', (q) => setLogging(context.log, q)),
    change('/drain_listeners', 'stop accepting (inboundonly, graceful)', (q) => {
      context.drainListeners(q.has('inboundonly') ? 'inbound' : 'all', q.has('graceful'));
      return ok;
    }),
    change('/healthcheck/fail', 'be not ready', () => {
      state.healthcheck(false);
      return ok;
    }),
    change('/healthcheck/ok', 'be ready again', () => {
      state.healthcheck(true);
      return ok;
    }),
    change('/runtime_modify', 'set or, with an empty value, remove runtime values (KEY=VALUE)', (q) =>
      modifyRuntime(context, q),
    ),
    change('/reset_counters', 'reset all counters to zero', () => {
      registry.resetCounters();
      return ok;
    }),
    change('/reopen_logs', 'reopen the access logs', () => {
      context.reopenLogs();
      return ok;
    }),
    change('/quitquitquit', 'end the process', () => {
      context.quit();
      return ok;
    }),
  ];
  return commands;
}

type Run = AdminCommand['run'];

function read(path: string, help: string, run: Run): AdminCommand {
  return { path, help, mutates: false, run };
}

function change(path: string, help: string, run: Run): AdminCommand {
  return { path, help, mutates: true, run };
}

const runtimeUsage = `usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN
       or send the parameters as form values
use an empty value to remove a previously added override`;

function modifyRuntime(context: AdminContext, query: URLSearchParams): AdminResponse {
  if (query.size === 0) return text(runtimeUsage, 400);
  return context.modifyRuntime(query) ? ok : text('No admin layer specified', 503);
}

function initDump(live: LiveConfig): unknown {
  const { clusters, listeners } = live.resources.warming;
  const dump = (name: string, count: number): unknown[] =>
    count === 0 ? [] : [{ name, target_names: [`${count} warming`] }];
  const waiting = [...dump('clusters', clusters), ...dump('listeners', listeners)];
  return waiting.length === 0 ? {} : { unready_targets_dumps: waiting };
}

export function readyResponse(state: ServerState): AdminResponse {
  const { phase } = state;
  return text(`${phase}\n`, phase === 'LIVE' ? 200 : 503);
}

function statsOf(registry: StatRegistry, query: URLSearchParams): AdminResponse {
  return renderStats(registry, query);
}

function listenersResponse({ live }: AdminContext, query: URLSearchParams): AdminResponse {
  const listeners = [...live.held.listeners.values(), ...live.resources.dnsListeners];
  if (query.get('format') !== 'json') {
    return text(listeners.flatMap((l) => l.addresses.map((a) => `${l.name}::${addressText(a)}\n`)).join(''));
  }
  const socket = ({ ip, port }: AddressSpec) => ({ socket_address: { address: ip, port_value: port } });
  return json({
    listener_statuses: listeners.map(({ name, addresses: [first, ...more] }) => ({
      name,
      ...(first === undefined ? {} : { local_address: socket(first) }),
      ...(more.length === 0 ? {} : { additional_local_addresses: more.map(socket) }),
    })),
  });
}

function memoryResponse(): AdminResponse {
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  return json({
    allocated: String(heapUsed + external),
    heap_size: String(heapTotal),
    pageheap_unmapped: '0',
    pageheap_free: String(heapTotal - heapUsed),
    total_thread_cache: '0',
    total_physical_bytes: String(rss),
  });
}

function setLogging(log: Logger, query: URLSearchParams): AdminResponse {
  const name = query.get('level');
  if (name !== null) {
    const level = parseLevel(name);
    if (level === undefined) return text(`error: unknown logger level ${name}\n`, 400);
    log.level = level;
  } else if ([...query.keys()].length > 0) {
    return text('usage: /logging?level=<level> (change all)\n', 400);
  }
  return text(`active loggers:\n  agent: ${levelName(log.level)}\n`);
}
