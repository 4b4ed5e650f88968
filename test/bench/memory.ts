/**
 * `npm run bench -- --memory`: what an idle proxy costs: resident and anonymous memory, the time from its start until
 * it listens, and what 1,000 idle keep-alive connections add, plain and with mutual TLS. Medians of a few starts.
 */
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import type { BenchCertificates } from './certificates.ts';
import type { Role } from './configurations.ts';
import { type BenchPlace, type Peer, type Running, start, stop } from './peers.ts';
import { type Memory, memory } from './process.ts';

/** The agent gives back what reading configuration took when it was quiet for 3 s. */
const settleMs = 5_000;

export interface IdleCost extends Memory {
  readonly startMs: number;
  /** Added by one idle connection that has carried one request, as RSS. */
  readonly connectionKb: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const median = (list: readonly number[]): number => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

function connect(port: number, role: Role, certs: BenchCertificates): net.Socket {
  if (role !== 'ingress') return net.connect(port, '127.0.0.1');
  return tls.connect({
    port,
    host: '127.0.0.1',
    cert: fs.readFileSync(certs.client.cert),
    key: fs.readFileSync(certs.client.key),
    ca: fs.readFileSync(certs.ca),
    servername: 'mesh.local',
    minVersion: 'TLSv1.3',
    checkServerIdentity: () => undefined,
  });
}

/** One request, so that everything a connection allocates is there; then it stays open. */
function used(socket: net.Socket): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the proxy closed an idle connection')));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.endsWith('hello from upstream\n')) return;
      if (text.startsWith('HTTP/1.1 200')) resolve(socket);
      else reject(new Error(text.split('\r\n')[0] ?? 'no answer'));
    });
    socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
  });
}

/** Connections opened one after the other: as many at once would measure the burst. */
async function openIdle(port: number, role: Role, certs: BenchCertificates, count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  for (let i = 0; i < count; i++) sockets.push(await used(connect(port, role, certs)));
  return sockets;
}

const pidOf = (running: Running): number => running.processes[0]?.pid ?? 0;

/** A start of one peer in one role, settled, then with idle connections. */
async function measureOnce(peer: Peer, role: Role, place: BenchPlace, connections: number): Promise<IdleCost> {
  const running = await start(peer, [role], false, place);
  let sockets: net.Socket[] = [];
  try {
    await sleep(settleMs);
    const idle = memory(pidOf(running));
    // The first connections warm up code and pools that every later one shares.
    sockets = await openIdle(running.port, role, place.certs, 50);
    const before = memory(pidOf(running)).rssKb;
    sockets.push(...(await openIdle(running.port, role, place.certs, connections)));
    await sleep(500);
    const after = memory(pidOf(running)).rssKb;
    return { ...idle, startMs: running.startMs, connectionKb: (after - before) / connections };
  } finally {
    for (const s of sockets) s.removeAllListeners('close').destroy();
    stop(running);
  }
}

async function measureIdle(
  peer: Peer,
  role: Role,
  place: BenchPlace,
  runs: number,
  connections = 1_000,
): Promise<IdleCost> {
  const costs: IdleCost[] = [];
  for (let i = 0; i < runs; i++) costs.push(await measureOnce(peer, role, place, connections));
  const of = (pick: (c: IdleCost) => number): number => median(costs.map(pick));
  return {
    rssKb: of((c) => c.rssKb),
    anonymousKb: of((c) => c.anonymousKb),
    startMs: of((c) => c.startMs),
    connectionKb: of((c) => c.connectionKb),
  };
}

/** The table of `--memory`. */
export async function printMemory(peers: readonly Peer[], place: BenchPlace, runs: number): Promise<object> {
  console.log(
    `\nidle, medians of ${runs} starts\n             RSS MB  anon MB  start ms  KB a plain connection  KB an mTLS connection`,
  );
  const all: Record<string, object> = {};
  for (const peer of peers) {
    const plain = await measureIdle(peer, 'plain', place, runs);
    const mutual = await measureIdle(peer, 'ingress', place, runs);
    all[peer.name] = { plain, mutual };
    console.log(
      `  ${peer.name.padEnd(9)} ${(plain.rssKb / 1024).toFixed(1).padStart(7)} ${(plain.anonymousKb / 1024).toFixed(1).padStart(8)} ` +
        `${plain.startMs.toFixed(0).padStart(9)} ${plain.connectionKb.toFixed(1).padStart(22)} ${mutual.connectionKb.toFixed(1).padStart(22)}`,
    );
  }
  return all;
}
