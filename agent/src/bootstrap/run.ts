/** `chainmail-agent -c FILE` and `chainmail-agent sidecar`, from options to exit code. */
import fs from 'node:fs';
import os from 'node:os';
import { type Logger, messageOf, UserError } from '@chainmail/runtime';
import type { CompiledBootstrap } from '../config/bootstrap.ts';
import { preferMemory } from '../sys/heap.ts';
import { type AdminEndpoint, Agent } from './agent.ts';
import { commandLine } from './command-line.ts';
import type { StopTiming } from './graceful-stop.ts';
import { loadBootstrap } from './load-config.ts';
import type { ServeOptions } from './options.ts';
import { createProcessLog } from './process-log.ts';
import { readRuntimeTree } from './runtime-trees.ts';

const noStats = {
  listener: () => 0,
  http: () => 0,
  cluster: () => 0,
  virtualHost: () => 0,
  tcp: () => 0,
  rbac: () => 0,
  connectionLimit: () => 0,
  proxyProto: () => 0,
  listenerFilters: () => 0,
  http2: () => 0,
};

/** Envoy leaves at once; connections in flight may finish here, for a while. */
const stopTiming: StopTiming = { deadlineMs: 5_000, acceptMs: 0, idleMs: 0 };

/** `--mode validate`: one line and exit code 0, or the reason and 1. */
export async function validateConfig(options: ServeOptions): Promise<number> {
  const { compileBootstrap } = await import('../config/bootstrap.ts');
  compileBootstrap(loadBootstrap(options), {
    stats: noStats,
    limitCell: () => 0,
    readFile: (path) => fs.readFileSync(path),
    readTree: readRuntimeTree,
    watchSecret: (file) => void file.load(),
    hasIdentity: false,
  });
  process.stdout.write(`configuration '${options.configPath ?? '--config-yaml'}' OK\n`);
  return 0;
}

/** Runs until a signal or /quitquitquit. @throws UserError for what keeps it from starting */
export async function serve(options: ServeOptions): Promise<number> {
  const { log, reopen } = createProcessLog(options.logLevel ?? 'info', options.logPath);
  for (const warning of options.warnings) log.warn(warning);
  const concurrency = options.concurrency || os.availableParallelism();
  const agent = new Agent({ log, concurrency, drainMs: options.drainTimeS * 1_000, commandLine: commandLine(options) });
  reopenOnSignal(agent, reopen);
  try {
    const { compileBootstrap } = await import('../config/bootstrap.ts');
    const bootstrap = compileBootstrap(loadBootstrap(options), {
      stats: agent.registry,
      limitCell: agent.limitCell,
      readFile: (path) => fs.readFileSync(path),
      readTree: readRuntimeTree,
      watchSecret: (file) => agent.secretFiles.watch(file),
      hasIdentity: false,
    });
    await agent.serve(bootstrap, null);
    await agent.opened();
    writeAdminAddress(options, await agent.openAdmin(bootstrap, adminEndpoints(bootstrap)));
    await agent.discover(bootstrap);
    preferMemory();
    log.info({ concurrency, listeners: bootstrap.listeners.length }, 'started');
  } catch (error) {
    await agent.close();
    throw error;
  }
  return untilStopped(agent, log, stopTiming);
}

function adminEndpoints({ admin }: CompiledBootstrap): readonly AdminEndpoint[] {
  return admin === null ? [] : [{ address: admin, mayMutate: true }];
}

export function writeAdminAddress({ adminAddressPath }: ServeOptions, addresses: readonly string[]): void {
  const [first] = addresses;
  if (adminAddressPath === null || first === undefined) return;
  try {
    fs.writeFileSync(adminAddressPath, first);
  } catch (cause) {
    throw new UserError('ADMIN_ADDRESS_PATH', `cannot write the admin address: ${messageOf(cause)}`, { cause });
  }
}

/** SIGUSR1 and SIGHUP reopen the logs. Called first of all: until then Node answers SIGUSR1 itself, with a debugger. */
export function reopenOnSignal(agent: Agent, reopen: () => void): void {
  const reopenAll = (): void => {
    reopen();
    agent.reopenLogs();
  };
  process.on('SIGUSR1', reopenAll);
  process.on('SIGHUP', reopenAll);
}

/** SIGTERM, SIGINT and /quitquitquit end it; a second signal at once. */
export async function untilStopped(
  agent: Agent,
  log: Logger,
  timing: StopTiming,
  onStop: () => void | Promise<void> = () => undefined,
): Promise<number> {
  // Signal handlers do not keep the loop alive, and workers are unreferenced while they run.
  const alive = setInterval(() => undefined, 2 ** 30);
  const reason = await new Promise<string>((resolve) => {
    const once = (signal: string): void => {
      process.on(signal, () => process.exit(0));
      resolve(signal);
    };
    process.once('SIGTERM', () => once('SIGTERM'));
    process.once('SIGINT', () => once('SIGINT'));
    void agent.quitAsked.then(() => resolve('/quitquitquit'));
  });
  log.info({ reason }, 'stopping');
  await agent.stop(timing);
  await onStop();
  clearInterval(alive);
  return 0;
}
