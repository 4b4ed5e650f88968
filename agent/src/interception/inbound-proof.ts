/**
 * The agent's own proof that inbound traffic comes to it: it dials its pod's address as uid 1337, which goes the way of a
 * call from outside, and must hear the token of its own listener. mesh-init cannot do this in a pod, where it may not
 * change its uid. Invariant: an agent that cannot prove it does not start, and so neither does the application.
 */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import os from 'node:os';
import { agentUid, messageOf, ports, UserError } from '@chainmail/runtime';
import { type Holes, proofPort } from './proof-targets.ts';

const deadlineMs = 2000;

export interface InboundProof {
  readonly address: string;
  readonly outcome: 'proven' | 'skipped';
  readonly reason: string;
}

/** @throws UserError INTERCEPTION_UNPROVEN, INTERCEPTION_PORT_TAKEN */
export async function proveInbound(podIps: readonly string[], holes: Holes): Promise<readonly InboundProof[]> {
  const own = new Set(Object.values(os.networkInterfaces()).flatMap((list) => (list ?? []).map((a) => a.address)));
  const proofs: InboundProof[] = [];
  for (const address of podIps) {
    const reason = whyNot(address, own, holes);
    if (reason !== undefined) proofs.push({ address, outcome: 'skipped', reason });
    else proofs.push(await prove(address, proofPort(holes) ?? 0));
  }
  return proofs;
}

function whyNot(address: string, own: ReadonlySet<string>, holes: Holes): string | undefined {
  if (process.geteuid?.() !== agentUid) return `not uid ${agentUid}`;
  if (!own.has(address)) return 'no address of this network namespace';
  if (net.isIPv6(address) && !own.has('::1')) return 'IPv6 is off on lo';
  return proofPort(holes) === undefined ? 'every port to dial is excluded' : undefined;
}

async function prove(address: string, port: number): Promise<InboundProof> {
  const token = randomBytes(16).toString('hex');
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // the dialler may be gone already
    socket.end(token);
  });
  await listen(server, net.isIPv6(address) ? '::' : '0.0.0.0');
  try {
    const answer = await dial(address, port);
    if (answer === token) return { address, outcome: 'proven', reason: `port ${port}` };
    throw new UserError('INTERCEPTION_UNPROVEN', `inbound traffic to ${address} does not reach the agent: ${answer}`, {
      hint: 'did mesh-init run, and do rules of others stand before ours? iptables-save -t nat',
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function listen(server: net.Server, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new UserError(
          'INTERCEPTION_PORT_TAKEN',
          `cannot listen on ${host} port ${ports.agentInbound}: ${messageOf(cause)}`,
          {
            hint: 'ports 15000-15099 belong to the agent',
            cause,
          },
        ),
      ),
    );
    server.listen({ host, port: ports.agentInbound, ipv6Only: true }, resolve);
  });
}

/** What was heard, or what went wrong. */
function dial(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect({ host, port });
    const settle = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(deadlineMs, () => settle(`no answer in ${deadlineMs} ms`));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, 128);
    });
    socket.on('end', () => settle(text === '' ? 'closed without a word' : text));
    socket.on('error', (error) => settle(error.message));
  });
}
