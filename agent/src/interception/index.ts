/**
 * Interception: `chainmail-agent init` makes this network namespace hand its TCP traffic to the agent, and `cleanup`
 * takes that back. Fails closed: whatever goes wrong ends with a non-zero exit code, so the application never starts.
 */
import fs from 'node:fs';
import { createLogger, describeFatal, type Logger, UserError } from '@chainmail/runtime';
import { applyRules, removeRules } from './apply.ts';
import { type RunCommand, runCommand } from './command.ts';
import { hasIpv6, prepareLoopback, restoreLoopback } from './loopback.ts';
import { cleanupUsage, type InterceptionOptions, initUsage, parseCleanupCommand, parseInitCommand } from './options.ts';
import { proveInterception } from './proof.ts';
import type { Family } from './rules.ts';

/** Both families are cleaned where the kernel has them: rules outlive an IPv6 that was switched off later. */
const allFamilies: readonly Family[] = ['v4', 'v6'];

/** The `init` command. @returns the exit code: 0, 1 when it failed, 2 on misuse; nothing is applied on misuse */
export function runInit(args: readonly string[]): Promise<number> {
  return reporting('mesh-init', async (log) => {
    const { help, options } = parseInitCommand(args, () => fs.readFileSync('/etc/resolv.conf', 'utf8'));
    if (help) process.stdout.write(initUsage);
    else await intercept(runCommand, options, log);
  });
}

/** The `cleanup` command. @returns the exit code */
export function runCleanup(args: readonly string[]): Promise<number> {
  return reporting('mesh-cleanup', async (log) => {
    if (parseCleanupCommand(args).help) {
      process.stdout.write(cleanupUsage);
      return;
    }
    await removeRules(runCommand, allFamilies);
    await restoreLoopback(runCommand);
    log.info('interception removed');
  });
}

/** Programs and proves interception in the network namespace of this process. */
export async function intercept(run: RunCommand, options: InterceptionOptions, log: Logger): Promise<void> {
  const families: readonly Family[] = hasIpv6() ? allFamilies : ['v4'];
  if (families.length === 1) log.info('this network namespace has no IPv6, only IPv4 is programmed');
  logHoles(options, log);
  const isLoopbackWhole = await prepareLoopback(run, families.includes('v6'));
  if (!isLoopbackWhole) log.warn('IPv6 is switched off on lo: IPv6 is captured, but the agent cannot serve it');
  const { backends } = await applyRules(run, families, options);
  for (const { family, program } of backends) log.info({ family, program }, 'rules applied');
  const provable = isLoopbackWhole ? families : families.filter((f) => f === 'v4');
  for (const check of await proveInterception(provable, options)) log.info(check, `interception ${check.outcome}`);
}

/** Each exclusion is traffic without identity and policy. */
function logHoles(options: InterceptionOptions, log: Logger): void {
  for (const port of options.excludeInboundPorts) log.warn({ port }, 'inbound port is excluded from the mesh');
  for (const port of options.excludeOutboundPorts) log.warn({ port }, 'outbound port is excluded from the mesh');
  for (const { text } of options.excludeOutboundCidrs) log.warn({ cidr: text }, 'network is excluded from the mesh');
}

async function reporting(component: string, work: (log: Logger) => Promise<void>): Promise<number> {
  try {
    await work(createLogger({ component }));
    return 0;
  } catch (error) {
    process.stderr.write(`${describeFatal(error)}\n`);
    return error instanceof UserError && /^(USAGE|EXCLUSION_INVALID)$/.test(error.code) ? 2 : 1;
  }
}
