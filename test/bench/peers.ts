/** The proxies under test: how to write each one's configuration and start it. All run on one processor. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { BenchCertificates } from './certificates.ts';
import {
  accessLogOf,
  envoyConfig,
  type Hop,
  haproxyConfig,
  nghttpxCommand,
  nginxConfig,
  type Role,
} from './configurations.ts';
import { findEnvoy } from './envoy.ts';
import { isTaken, killFamily, listening, startPinned } from './process.ts';
import type { Http2Drive } from './rows.ts';

const proxyCpu = 0;
export const loadCpu = 1;

export interface Peer {
  /**
   * Between its two hops `agent` speaks HTTP/2, as agents of a mesh do, and `agent-h1` HTTP/1.1; `envoy` speaks HTTP/1.1
   * and `envoy-h2` HTTP/2.
   */
  readonly name: string;
  /** Command line of one hop, after writing its configuration. */
  readonly command: (hop: Hop) => readonly string[];
}

export interface Running {
  readonly peer: string;
  readonly port: number;
  readonly processes: readonly ChildProcess[];
  /** Of its hops, as far as they write one. */
  readonly accessLogs: readonly string[];
  readonly startMs: number;
}

export interface BenchPlace {
  readonly dir: string;
  readonly certs: BenchCertificates;
  readonly upstream: number;
  /** The port of a server of HTTP/2, started at the first call: its answers have trailers, or not. */
  http2Upstream(grpc: boolean): Promise<number>;
  nextPort(): number;
}

function write(hop: Hop, name: string, text: string): string {
  const file = path.join(hop.dir, `${name}-${hop.listen}`);
  fs.writeFileSync(file, text);
  return file;
}

const has = (command: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
};

/** The peers that can be had here; what is missing is said, with what to install. */
export function findPeers(say: (line: string) => void, adminPort: () => number, base: string | null = null): Peer[] {
  const agentOf = (clone: string): string => path.resolve(clone, 'node_modules/.bin/chainmail-agent');
  const envoy = findEnvoy();
  const envoyFile = (hop: Hop, who: string): string =>
    write(hop, `${who}.yaml`, envoyConfig(hop, adminPort(), accessLogOf(who, hop)));
  const agent = (name: string, clone: string, between: 'h1' | 'h2'): Peer => ({
    name,
    command: (hop) => [
      agentOf(clone),
      ...['-c', envoyFile({ ...hop, between }, name), '--concurrency', '1', '-l', 'warning'],
    ],
  });
  const ours = path.join(import.meta.dirname, '../..');
  const peers: Peer[] = [agent('agent', ours, 'h2'), agent('agent-h1', ours, 'h1')];
  if (base !== null) peers.push(agent('base', base, 'h2'));
  if (has('nginx'))
    peers.push({ name: 'nginx', command: (hop) => ['nginx', '-c', write(hop, 'nginx.conf', nginxConfig(hop))] });
  else say('nginx is missing: apt-get install -y nginx-light');
  if (has('haproxy')) {
    peers.push({ name: 'haproxy', command: (hop) => ['haproxy', '-f', write(hop, 'haproxy.cfg', haproxyConfig(hop))] });
  } else say('haproxy is missing: apt-get install -y haproxy');
  if (has('nghttpx')) peers.push({ name: 'nghttpx', command: nghttpxCommand });
  else say('nghttpx is missing: apt-get install -y nghttp2-proxy nghttp2-server nghttp2-client');
  if ('path' in envoy) {
    const flags = ['--concurrency', '1', '--disable-hot-restart', '--use-dynamic-base-id', '-l', 'warning'];
    const run = (hop: Hop, who: string): readonly string[] => [envoy.path, '-c', envoyFile(hop, who), ...flags];
    peers.push({ name: 'envoy', command: (hop) => run(hop, 'envoy') });
    peers.push({ name: 'envoy-h2', command: (hop) => run({ ...hop, between: 'h2' }, 'envoy-h2') });
  } else say(`Envoy is left out: ${envoy.missing}`);
  return peers;
}

/** Starts the hops of a row, the last one first; the row is driven at the port of the first. */
export async function start(
  peer: Peer,
  roles: readonly Role[],
  rich: boolean,
  place: BenchPlace,
  http2: Http2Drive | null = null,
): Promise<Running> {
  const processes: ChildProcess[] = [];
  const accessLogs: string[] = [];
  let upstream = http2 === null ? place.upstream : await place.http2Upstream(http2.grpc);
  let startMs = 0;
  for (const role of [...roles].reverse()) {
    const hop: Hop = {
      role,
      listen: place.nextPort(),
      upstream,
      certs: place.certs,
      rich,
      http2: http2 !== null,
      dir: place.dir,
    };
    const log = path.join(place.dir, `${peer.name}-${hop.listen}.log`);
    if (await isTaken(hop.listen)) throw new Error(`port ${hop.listen} is in use by another program`);
    const child = startPinned(proxyCpu, peer.command(hop), log);
    processes.push(child);
    const accessLog = accessLogOf(peer.name, hop);
    if (accessLog !== null) accessLogs.push(accessLog);
    startMs = Math.max(startMs, await listening(child, hop.listen, log));
    upstream = hop.listen;
  }
  return { peer: peer.name, port: upstream, processes, accessLogs, startMs };
}

export function stop(running: Running): void {
  for (const p of running.processes) killFamily(p);
}
