/** The loopback interface as interception needs it: up, and with the IPv6 source address of the agent's own dials. */
import fs from 'node:fs';
import os from 'node:os';
import { inboundSource, UserError } from '@chainmail/runtime';
import { firstLine } from './backend.ts';
import type { RunCommand } from './command.ts';

const disableIpv6 = '/proc/sys/net/ipv6/conf/lo/disable_ipv6';

/** Whether this kernel and this network namespace speak IPv6 at all. */
export function hasIpv6(): boolean {
  try {
    return fs.readFileSync(disableIpv6, 'utf8').trim() === '0';
  } catch {
    return false; // no such file: a kernel without IPv6
  }
}

/** @throws UserError INTERCEPTION_LOOPBACK */
export async function prepareLoopback(run: RunCommand, withIpv6: boolean): Promise<void> {
  const addressesOfLo = os.networkInterfaces()['lo'] ?? []; // lists only interfaces that are up
  if (addressesOfLo.length === 0) await ip(run, ['link', 'set', 'lo', 'up']);
  if (withIpv6 && !addressesOfLo.some((a) => a.address === inboundSource.v6)) {
    await ip(run, ['-6', 'addr', 'replace', `${inboundSource.v6}/128`, 'dev', 'lo', 'nodad']);
  }
}

/** Takes the IPv6 source address away; lo stays up, it may have been before. */
export async function restoreLoopback(run: RunCommand): Promise<void> {
  const has = (os.networkInterfaces()['lo'] ?? []).some((a) => a.address === inboundSource.v6);
  if (has) await ip(run, ['-6', 'addr', 'del', `${inboundSource.v6}/128`, 'dev', 'lo']);
}

async function ip(run: RunCommand, args: readonly string[]): Promise<void> {
  const result = await run('ip', args);
  if (result.code === 0) return;
  throw new UserError('INTERCEPTION_LOOPBACK', `ip ${args.join(' ')}: ${firstLine(result)}`);
}
