/** `chainmail-agent sidecar`: everything comes from the environment of the injected container. */
import fs from 'node:fs';
import path from 'node:path';
import { messageOf, ports, systemClock } from '@chainmail/runtime';
import { compileBootstrap } from '../config/bootstrap.ts';
import { probeTarget } from '../health/app-probe.ts';
import { plain, probePages, servePages } from '../health/server.ts';
import { proveInbound } from '../interception/inbound-proof.ts';
import { parseInitCommand } from '../interception/options.ts';
import type { Holes } from '../interception/proof-targets.ts';
import type { SecretSpec } from '../model/tls.ts';
import { renderStats } from '../stats/render.ts';
import { preferMemory } from '../sys/heap.ts';
import { Agent } from './agent.ts';
import { commandLine } from './command-line.ts';
import type { StopTiming } from './graceful-stop.ts';
import { bootstrapFromJson } from './load-config.ts';
import type { ServeOptions } from './options.ts';
import { createProcessLog } from './process-log.ts';
import { reopenOnSignal, untilStopped, writeAdminAddress } from './run.ts';
import { sidecarBootstrap } from './sidecar-bootstrap.ts';
import { type SidecarSettings, sidecarSettings } from './sidecar-settings.ts';

/** Other agents hear within this time that the pod is leaving. */
const endpointLagMs = 5_000;
const idleMs = 1_000;

/** Runs until a signal. @throws UserError for what keeps it from starting */
export async function runSidecar(options: ServeOptions, env: NodeJS.ProcessEnv): Promise<number> {
  const settings = sidecarSettings(env);
  const { log, reopen } = createProcessLog(options.logLevel ?? settings.logLevel, options.logPath);
  for (const warning of options.warnings) log.warn(warning);
  const concurrency = options.concurrency || settings.concurrency;
  const drainMs = settings.drainSeconds * 1_000;
  const agent = new Agent({ log, concurrency, drainMs, commandLine: commandLine({ ...options, concurrency }) });
  reopenOnSignal(agent, reopen);
  const { options: holes } = parseInitCommand(settings.exclusions, () => '');
  tellHoles(agent, holes, log);
  const proofs = settings.proveInterception ? proveInbound(settings.podIps, holes) : Promise.resolve([]);
  proofs.catch(() => {}); // awaited below, once the certificate is under way
  // Ask for the certificate while the rest is being parsed; its secrets go in when there is a place for them.
  let held: readonly SecretSpec[] = [];
  let take = (secrets: readonly SecretSpec[]): void => {
    held = secrets;
  };
  const { startIdentity } = await import('../identity/mesh-identity.ts');
  const identity = startIdentity(settings, systemClock, log, (secrets) => take(secrets));
  try {
    const bootstrap = compileBootstrap(bootstrapFromJson(sidecarBootstrap(settings), options), {
      stats: agent.registry,
      limitCell: agent.limitCell,
      readFile: (file) => fs.readFileSync(file),
      hasIdentity: true,
    });
    for (const proof of await proofs) log.info(proof, `interception ${proof.outcome}`);
    await agent.serve(bootstrap, identity);
    take = (secrets) => agent.live.setSecrets(secrets);
    if (held.length > 0) take(held);
    writeAdminAddress(options, await agent.openAdmin(bootstrap, adminEndpoints(settings, bootstrap)));
    const closePages = await openPages(agent, settings);
    // Not awaited: without the CA it takes for ever, and signals must be heard meanwhile.
    void agent.discover(bootstrap).catch((error) => {
      if (!agent.state.isStopping) log.fatal({ reason: messageOf(error) }, 'no discovery');
    });
    preferMemory();
    log.info({ concurrency, identity: identity.spiffeId }, 'started');
    return await untilStopped(agent, log, sidecarTiming(drainMs), closePages);
  } catch (error) {
    identity.stop();
    await agent.close();
    throw error;
  }
}

/** Each exclusion is traffic without identity and policy: it is logged at the start and stays visible as a number. */
function tellHoles(agent: Agent, holes: Holes, log: ReturnType<typeof createProcessLog>['log']): void {
  const { excludeInboundPorts, excludeOutboundPorts, excludeOutboundCidrs } = holes;
  const cidrs = excludeOutboundCidrs.map((c) => c.text);
  const gauge = (name: string, value: number) => ({ name: `interception.${name}`, kind: 'gauge' as const, value });
  agent.registry.addSource(() => [
    gauge('excluded_inbound_ports', excludeInboundPorts.length),
    gauge('excluded_outbound_ports', excludeOutboundPorts.length),
    gauge('excluded_outbound_cidrs', cidrs.length),
  ]);
  if (excludeInboundPorts.length + excludeOutboundPorts.length + cidrs.length === 0) return;
  log.warn({ excludeInboundPorts, excludeOutboundPorts, excludeOutboundCidrs: cidrs }, 'traffic outside of the mesh');
}

function sidecarTiming(drainMs: number): StopTiming {
  return { deadlineMs: drainMs, acceptMs: Math.min(endpointLagMs, drainMs), idleMs: Math.min(idleMs, drainMs) };
}

/** Loopback for looking, the socket for changing: only the agent's uid may use it. */
function adminEndpoints(
  { adminSocket }: SidecarSettings,
  { admin }: ReturnType<typeof compileBootstrap>,
): Parameters<Agent['openAdmin']>[1] {
  fs.mkdirSync(path.dirname(adminSocket), { recursive: true, mode: 0o700 });
  return [
    ...(admin === null ? [] : [{ address: admin, mayMutate: false }]),
    { address: { kind: 'pipe', path: adminSocket, mode: 0o600 }, mayMutate: true },
  ];
}

async function openPages(agent: Agent, { appProbes, podIps }: SidecarSettings): Promise<() => Promise<void>> {
  const ready = () => (agent.isReady() ? plain(200, 'ready\n') : plain(503, `${agent.state.phase}\n`));
  const metrics = () => renderStats(agent.registry, new URLSearchParams({ format: 'prometheus' }));
  const [podIp = '127.0.0.1'] = podIps;
  const host = fs.existsSync('/proc/net/if_inet6') ? '::' : '0.0.0.0';
  const health = await servePages(ports.agentHealth, host, {
    ...probePages(appProbes, probeTarget(podIp)),
    '/ready': ready,
  });
  const figures = await servePages(ports.agentMetrics, host, {
    '/ready': ready,
    '/metrics': metrics,
    '/stats/prometheus': metrics,
  });
  return async () => {
    await Promise.all([health.close(), figures.close()]);
  };
}
