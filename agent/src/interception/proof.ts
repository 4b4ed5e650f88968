/**
 * Proof that interception works before the application starts: connections that must be captured have to reach
 * listeners of this very process, which answer with a random token and the original destination they were told.
 */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import os from 'node:os';
import { agentUid, inboundSource, messageOf, ports, UserError } from '@chainmail/runtime';
import { originalDestination } from '../sys/tcp.ts';
import { type Holes, proofAddress, proofPort } from './proof-targets.ts';
import type { Family } from './rules.ts';

export interface Check {
  readonly family: Family;
  readonly direction: 'outbound' | 'inbound';
  readonly outcome: 'proven' | 'skipped' | 'failed';
  readonly reason: string;
}

const dialDeadlineMs = 2000;

const listenAddresses: Readonly<Record<Family, { readonly outbound: string; readonly inbound: string }>> = {
  v4: { outbound: '127.0.0.1', inbound: '0.0.0.0' },
  v6: { outbound: '::1', inbound: '::' },
};

/** @throws UserError INTERCEPTION_UNPROVEN when a captured connection did not arrive */
export async function proveInterception(families: readonly Family[], holes: Holes): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const family of families) checks.push(await proveOutbound(family, holes), await proveInbound(family, holes));
  const failed = checks.find((c) => c.outcome === 'failed');
  if (failed === undefined) return checks;
  throw new UserError(
    'INTERCEPTION_UNPROVEN',
    `IP${failed.family}: ${failed.direction} traffic does not reach the agent: ${failed.reason}`,
    { hint: 'look for rules of others before ours: iptables-save -t nat' },
  );
}

async function proveOutbound(family: Family, holes: Holes): Promise<Check> {
  const check = { family, direction: 'outbound' } as const;
  const [target, dialPort] = [proofAddress(family, holes), proofPort(holes)];
  if (target === undefined || dialPort === undefined) return { ...check, outcome: 'skipped', reason: allExcluded };
  return withToken(family, listenAddresses[family].outbound, ports.agentOutbound, async (token) => {
    const answer = await dial(target, dialPort);
    if (answer.kind === 'unreachable') return { ...check, outcome: 'skipped', reason: `no route to ${target}` };
    return { ...check, ...judge(answer, token, target, dialPort) };
  });
}

const allExcluded = 'every address or port to dial is excluded';

/** As the agent's uid to an address of this pod, which goes the way of a call from outside. */
async function proveInbound(family: Family, holes: Holes): Promise<Check> {
  const check = { family, direction: 'inbound' } as const;
  const dialPort = proofPort(holes);
  if (dialPort === undefined) return { ...check, outcome: 'skipped', reason: allExcluded };
  const own = ownAddress(family);
  if (own === undefined) return { ...check, outcome: 'skipped', reason: `the pod has no IP${family} address` };
  return withToken(family, listenAddresses[family].inbound, ports.agentInbound, async (token) => {
    const answer = await asAgent(() => dial(own, dialPort));
    if (answer === undefined)
      return { ...check, outcome: 'skipped', reason: 'no capability SETUID: the agent does it' };
    return { ...check, ...judge(answer, token, own, dialPort) };
  });
}

/** The token says which process answered; the original destination, that the agent will know where to go on. */
function judge(answer: Answer, token: string, target: string, dialPort: number): Pick<Check, 'outcome' | 'reason'> {
  if (answer.kind !== 'text') return { outcome: 'failed', reason: `${target}: ${answer.text}` };
  const [gotToken, ip, port] = answer.text.split(' ');
  if (gotToken !== token) return { outcome: 'failed', reason: `${target}: another process answered` };
  if (ip !== target || port !== String(dialPort)) {
    return { outcome: 'failed', reason: `${target}: the original destination is lost, the kernel says ${ip} ${port}` };
  }
  return { outcome: 'proven', reason: `${target} port ${dialPort}` };
}

function ownAddress(family: Family): string | undefined {
  const wanted = family === 'v4' ? 'IPv4' : 'IPv6';
  return Object.values(os.networkInterfaces())
    .flatMap((list) => list ?? [])
    .find((a) => a.family === wanted && !a.internal && a.address !== inboundSource.v6 && !a.address.startsWith('fe80:'))
    ?.address;
}

/** Sockets made inside belong to the agent's uid; undefined without the right to change it. */
async function asAgent<T>(work: () => Promise<T>): Promise<T | undefined> {
  const before = process.geteuid?.();
  if (before === undefined || process.seteuid === undefined) return undefined;
  try {
    process.seteuid(agentUid);
  } catch {
    return undefined;
  }
  try {
    return await work();
  } finally {
    process.seteuid(before);
  }
}

async function withToken(
  family: Family,
  host: string,
  port: number,
  work: (token: string) => Promise<Check>,
): Promise<Check> {
  const token = randomBytes(16).toString('hex');
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // the dialler may be gone already
    const original = originalOf(socket, family);
    socket.end(`${token} ${original?.ip} ${original?.port}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(occupied(host, port, error)));
    server.listen({ host, port, ipv6Only: true }, resolve);
  });
  try {
    return await work(token);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** net.Socket shows its descriptor only on its handle. */
function originalOf(socket: net.Socket, family: Family) {
  const { fd } = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  return fd === undefined || fd < 0 ? null : originalDestination(BigInt(fd), family === 'v4' ? 4 : 6);
}

function occupied(host: string, port: number, cause: unknown): UserError {
  return new UserError('INTERCEPTION_PORT_TAKEN', `cannot listen on ${host} port ${port}: ${messageOf(cause)}`, {
    hint: 'ports 15000-15099 belong to the agent, and init runs before it',
    cause,
  });
}

type Answer = { readonly kind: 'text' | 'unreachable' | 'failed'; readonly text: string };

function dial(host: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect({ host, port });
    const settle = (answer: Answer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(dialDeadlineMs, () => settle({ kind: 'failed', text: `no answer in ${dialDeadlineMs} ms` }));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, 128);
    });
    socket.on('end', () => settle({ kind: 'text', text }));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const unreachable = error.code === 'ENETUNREACH' || error.code === 'EADDRNOTAVAIL';
      settle({ kind: unreachable ? 'unreachable' : 'failed', text: error.message });
    });
  });
}
