/** The loopback interface as interception needs it: up, and with the IPv6 source address of the agent's own dials. */
import fs from 'node:fs';
import os from 'node:os';
import { inboundSource, UserError } from '@chainmail/runtime';
import { firstLine } from './backend.ts';
import type { RunCommand } from './command.ts';

const settings = '/proc/sys/net/ipv6/conf';

/** Whether any interface of this network namespace, or one that comes later, may speak IPv6. */
export function hasIpv6(): boolean {
  try {
    return fs.readdirSync(settings).some(isEnabledOn);
  } catch {
    return false; // no such folder: a kernel without IPv6
  }
}

function isEnabledOn(device: string): boolean {
  return fs.readFileSync(`${settings}/${device}/disable_ipv6`, 'utf8').trim() === '0';
}

/**
 * @param withIpv6 whether the agent needs its IPv6 source address
 * @returns false when IPv6 is wanted, but switched off on lo: then the agent can serve none
 * @throws UserError INTERCEPTION_LOOPBACK
 */
export async function prepareLoopback(run: RunCommand, withIpv6: boolean): Promise<boolean> {
  const addressesOfLo = os.networkInterfaces()['lo'] ?? []; // lists only interfaces that are up
  if (addressesOfLo.length === 0) await ip(run, ['link', 'set', 'lo', 'up']);
  if (!withIpv6 || addressesOfLo.some((a) => a.address === inboundSource.v6)) return true;
  if (!isEnabledOn('lo')) return false;
  await ip(run, ['-6', 'addr', 'replace', `${inboundSource.v6}/128`, 'dev', 'lo', 'nodad']);
  return true;
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
