/**
 * `npm run test:conformance [-- --device agent|envoy] [GROUP]`: what others use to tell whether HTTP/2 and gRPC are
 * spoken right: h2spec, grpc-go's interoperability tests, h2load, nghttp, curl, and the real Envoy at either end.
 * `--device envoy` puts Envoy where the agent stands: how the harness is compared with something known.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { makeCertificates } from '../bench/certificates.ts';
import { findEnvoy } from '../bench/envoy.ts';
import type { ProxyName } from '../oracle/proxy.ts';
import { h1App, h2App } from './apps.ts';
import { Chain, type HopPlan, type Place, type Protocol } from './chain.ts';
import { type Entrance, foreignClients } from './clients.ts';
import { type GoTools, goTools } from './go-tools.ts';
import { interop, interopCase, interopServer } from './grpc-interop.ts';
import { h2spec, h2specCases, readReport } from './h2spec.ts';
import { runProgram } from './run-program.ts';
import type { Server } from './server.ts';
import { Tally } from './tally.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { device: { type: 'string', default: 'agent' } },
});
function deviceOf(name: string): ProxyName {
  if (name === 'agent' || name === 'envoy') return name;
  console.error(`conformance: --device ${name} is neither agent nor envoy`);
  process.exit(2);
}

const device = deviceOf(values.device);
const [wanted = ''] = positionals;
const tally = new Tally();

async function group(name: string, run: () => Promise<void>): Promise<void> {
  if (name.includes(wanted)) await tally.group(name, run);
}

/** A group with proxies before a server; everything is ended with it, and a proxy that has died is a failure. */
async function behind(
  name: string,
  hops: readonly HopPlan[],
  serve: () => Promise<Server>,
  place: Place,
  run: (chain: Chain) => Promise<void>,
): Promise<void> {
  await group(name, async () => {
    const server = await serve();
    try {
      const chain = await Chain.start(hops, server.port, place);
      try {
        await run(chain);
        tally.check('every proxy lives', chain.dead());
      } finally {
        await chain.stop();
      }
    } finally {
      server.stop();
    }
  });
}

/** Two hops with mutual TLS and HTTP/2 between them. */
const pair = (egress: ProxyName, ingress: ProxyName, upstream: Protocol = 'h2'): readonly HopPlan[] => [
  { proxy: egress, upstream: 'h2', tlsUp: true },
  { proxy: ingress, upstream, tlsDown: 'mutual' },
];

/** That a failure is seen: the same programs against a server that speaks HTTP/1.1 only. */
async function canFail(tools: GoTools, dir: string): Promise<void> {
  const app = await h1App();
  try {
    const file = path.join(dir, 'cannot.xml');
    await runProgram(
      [tools.h2spec, 'http2/3', '-h', '127.0.0.1', '-p', String(app.port), '-j', file, '-o', '1'],
      60_000,
    );
    const found = fs.existsSync(file) ? readReport(fs.readFileSync(file, 'utf8')) : [];
    const failed = found.filter((c) => c.failure !== null).length;
    tally.check('h2spec finds failures', failed > 0 ? null : `${found.length} cases, none failed`);
    const interopFailure = await interopCase(tools, app.port, 'empty_unary');
    tally.check('grpc-go finds failures', interopFailure === null ? 'empty_unary passed' : null);
  } finally {
    app.stop();
  }
}

async function goGroups(tools: GoTools, place: Place, hasEnvoy: boolean): Promise<void> {
  await group('a server of HTTP/1.1 fails', () => canFail(tools, place.dir));
  // Where HTTP/1.1 is spoken too, bytes that are no preface are a bad request of HTTP/1.1, and are answered as such.
  const one: HopPlan = { proxy: device, upstream: 'h1', only: 'h2' };
  const spec = (tls: boolean) => (chain: Chain) => h2spec(tools.h2spec, chain.port, tls, place.dir, tally);
  await behind(`h2spec, h2c, ${h2specCases} cases`, [one], h1App, place, spec(false));
  await behind(`h2spec, TLS, ${h2specCases} cases`, [{ ...one, tlsDown: 'tls' }], h1App, place, spec(true));
  await behind('h2spec, h2c, to HTTP/2', [{ ...one, upstream: 'h2' }], h2App, place, spec(false));
  const server = (): Promise<Server> => interopServer(tools);
  const cases = (chain: Chain): Promise<void> => interop(tools, chain.port, tally);
  await behind('grpc-go, one hop', [{ proxy: device, upstream: 'h2' }], server, place, cases);
  await behind(`grpc-go, ${device} to ${device}, mTLS`, pair(device, device), server, place, cases);
  if (device === 'envoy' || !hasEnvoy) return;
  await behind('grpc-go, agent to Envoy, mTLS', pair('agent', 'envoy'), server, place, cases);
  await behind('grpc-go, Envoy to agent, mTLS', pair('envoy', 'agent'), server, place, cases);
}

async function clientGroups(place: Place, hasEnvoy: boolean): Promise<void> {
  const entrance = (tls: boolean) => (chain: Chain) => {
    const at: Entrance = { port: chain.port, tls, ca: place.certs.ca };
    return foreignClients(at, place.dir, tally);
  };
  const one = (upstream: Protocol): HopPlan => ({ proxy: device, upstream });
  await behind('clients, h2c to HTTP/1.1', [one('h1')], h1App, place, entrance(false));
  await behind('clients, h2c to HTTP/2', [one('h2')], h2App, place, entrance(false));
  await behind('clients, TLS to HTTP/2', [{ ...one('h2'), tlsDown: 'tls' }], h2App, place, entrance(true));
  await behind(`clients, ${device} to ${device}, mTLS`, pair(device, device, 'h1'), h1App, place, entrance(false));
  if (device === 'envoy' || !hasEnvoy) return;
  await behind('clients, agent to Envoy, mTLS', pair('agent', 'envoy'), h2App, place, entrance(false));
  await behind('clients, Envoy to agent, mTLS', pair('envoy', 'agent', 'h1'), h1App, place, entrance(false));
}

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-'));
try {
  const place: Place = { dir, certs: makeCertificates(dir) };
  const envoy = findEnvoy();
  if ('missing' in envoy) tally.skip('everything with the real Envoy', envoy.missing);
  const tools = goTools();
  if ('missing' in tools) tally.skip('h2spec and grpc-go', tools.missing);
  else await goGroups(tools, place, 'path' in envoy);
  await clientGroups(place, 'path' in envoy);
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}
process.exitCode = tally.close();
