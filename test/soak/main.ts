/**
 * `npm run test:soak`: memory of the agent stays flat over 1,000,000 requests and 100,000 connections, and none of
 * them fails. Takes about two minutes. Prints what it measured; exit code 1 when memory grew or something failed.
 */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@chainmail/runtime/testing';
import { startAgent } from './agent.ts';
import { connections, requests } from './client.ts';

/** Anonymous memory that may be added after the warm-up: what the garbage collector lets lie, not what leaks. */
const allowedGrowthKib = 12_288;

const config = (port: number, backend: number): string => `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: soak
          access_log:
          - name: log
            typed_config: { "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null }
          http_filters: [{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, route: { cluster: backend } }]
  clusters:
  - name: backend
    type: STATIC
    load_assignment:
      cluster_name: backend
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${backend} } } } }] }]
`;

/** Anonymous resident memory in KiB. */
function anonymousKib(pid: number): number {
  return Number(/^RssAnon:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}

function openDescriptors(pid: number): number {
  return fs.readdirSync(`/proc/${pid}/fd`).length;
}

interface Phase {
  readonly name: string;
  readonly warmUp: number;
  readonly count: number;
  readonly run: (count: number) => Promise<number>;
}

async function measure(phase: Phase, pid: number): Promise<boolean> {
  let failed = await phase.run(phase.warmUp);
  const before = { kib: anonymousKib(pid), fds: openDescriptors(pid) };
  const begun = performance.now();
  failed += await phase.run(phase.count);
  const seconds = (performance.now() - begun) / 1000;
  await new Promise((resolve) => setTimeout(resolve, 500)); // the last closes are on their way
  const after = { kib: anonymousKib(pid), fds: openDescriptors(pid) };
  const grown = after.kib - before.kib;
  const ok = failed === 0 && grown <= allowedGrowthKib && after.fds <= before.fds + 8;
  console.log(
    `${ok ? 'ok    ' : 'FAILED'} ${phase.name}: ${phase.count} in ${seconds.toFixed(0)} s, ${failed} failed, ` +
      `anonymous ${before.kib} -> ${after.kib} KiB (${grown >= 0 ? '+' : ''}${grown}), descriptors ${before.fds} -> ${after.fds}`,
  );
  return ok;
}

const backend = http.createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
backend.keepAliveTimeout = 60_000;
await new Promise((resolve) => backend.once('listening', resolve));
const port = await freePort();
const agent = await startAgent(config(port, (backend.address() as AddressInfo).port));
const { pid } = agent;
const scale = Number(process.env['SOAK_SCALE'] ?? '1');
const phases: readonly Phase[] = [
  { name: 'connections', warmUp: 10_000, count: 100_000, run: (n) => connections(port, n, 32) },
  { name: 'requests', warmUp: 50_000, count: 1_000_000, run: (n) => requests(port, n, 32, 16) },
];
let failures = 0;
for (const phase of phases) {
  const scaled = { ...phase, count: Math.ceil(phase.count * scale) };
  if (!(await measure(scaled, pid))) failures++;
}
await agent.stop();
backend.close();
backend.closeAllConnections();
console.log(`${phases.length - failures} passed, ${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;
