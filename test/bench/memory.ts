/**
 * `npm run bench -- --memory`: what a proxy costs a pod: resident and anonymous memory idle and after load, the time from
 * its start until it listens, and what 1,000 idle keep-alive connections add, plain and with mutual TLS.
 */
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import type { BenchCertificates } from './certificates.ts';
import type { Role } from './configurations.ts';
import { drive } from './load.ts';
import { type BenchPlace, type Peer, type Running, start, stop } from './peers.ts';
import { type Memory, memory } from './process.ts';
import { median } from './rotation.ts';

/** The agent gives back what reading configuration took when it was quiet for 3 s. */
const settleMs = 5_000;

/** What compiling took while the connections came is not theirs: the agent notices growth and gives back within this. */
const givenBackMs = 12_000;
const loadedSeconds = 10;
const idleConnections = 1_000;

export type Cost = Memory;

export interface Costs {
  readonly idle: Cost;
  /** After 1,000 requests a second over 64 connections, the larger of two hops of mutual TLS. */
  readonly loaded: Cost;
  readonly startMs: number;
  /** Added by one idle connection that has carried one request, anonymous. */
  readonly plainConnectionKb: number;
  readonly mutualConnectionKb: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

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

const pids = (running: Running): number[] => running.processes.map((p) => p.pid ?? 0);

interface IdleCost extends Cost {
  readonly startMs: number;
  readonly connectionKb: number;
}

/** A start of one peer in one role, settled, then with idle connections. */
async function measureIdle(peer: Peer, role: Role, place: BenchPlace, connections: number): Promise<IdleCost> {
  const running = await start(peer, [role], false, place);
  const [pid = 0] = pids(running);
  let sockets: net.Socket[] = [];
  try {
    await sleep(settleMs);
    const idle = memory(pid);
    // The first connections warm up code and pools that every later one shares.
    sockets = await openIdle(running.port, role, place.certs, 50);
    await sleep(givenBackMs);
    const before = memory(pid).anonymousKb;
    sockets.push(...(await openIdle(running.port, role, place.certs, connections)));
    await sleep(givenBackMs);
    const after = memory(pid).anonymousKb;
    return { ...idle, startMs: running.startMs, connectionKb: (after - before) / connections };
  } finally {
    for (const s of sockets) s.removeAllListeners('close').destroy();
    stop(running);
  }
}

/** The larger of two hops after some seconds of 1,000 requests a second over 64 connections, with policy and log. */
async function measureLoaded(peer: Peer, place: BenchPlace): Promise<Cost> {
  const running = await start(peer, ['egress', 'ingress'], true, place);
  try {
    await drive(running, { drive: 'paced', path: '/', close: false, beside: null, http2: null }, loadedSeconds);
    await sleep(givenBackMs);
    await drive(running, { drive: 'paced', path: '/', close: false, beside: null, http2: null }, 1);
    const all = pids(running).map(memory);
    return {
      rssKb: Math.max(...all.map((m) => m.rssKb)),
      anonymousKb: Math.max(...all.map((m) => m.anonymousKb)),
    };
  } finally {
    stop(running);
  }
}

/** Medians of some starts. */
export async function measureCosts(peer: Peer, place: BenchPlace, runs: number): Promise<Costs> {
  const plain: IdleCost[] = [];
  const mutual: IdleCost[] = [];
  const loaded: Cost[] = [];
  for (let i = 0; i < runs; i++) {
    plain.push(await measureIdle(peer, 'plain', place, idleConnections));
    mutual.push(await measureIdle(peer, 'ingress', place, idleConnections));
    loaded.push(await measureLoaded(peer, place));
  }
  const of = <C>(list: readonly C[], pick: (c: C) => number): number => median(list.map(pick));
  const cost = (list: readonly Cost[]): Cost => ({
    rssKb: of(list, (c) => c.rssKb),
    anonymousKb: of(list, (c) => c.anonymousKb),
  });
  return {
    idle: cost(plain),
    loaded: cost(loaded),
    startMs: of(plain, (c) => c.startMs),
    plainConnectionKb: of(plain, (c) => c.connectionKb),
    mutualConnectionKb: of(mutual, (c) => c.connectionKb),
  };
}

/** One table over all peers. */
export async function printCosts(
  peers: readonly Peer[],
  place: BenchPlace,
  runs: number,
): Promise<Readonly<Record<string, Costs>>> {
  console.log(
    `\nmemory, medians of ${runs} starts\n             idle RSS / anon MB   after 1,000/s RSS / anon MB   start ms   KB a plain / an mTLS connection`,
  );
  const all: Record<string, Costs> = {};
  for (const peer of peers) {
    const costs = await measureCosts(peer, place, runs);
    all[peer.name] = costs;
    const mb = (cost: Cost): string => `${(cost.rssKb / 1024).toFixed(1)} / ${(cost.anonymousKb / 1024).toFixed(1)}`;
    console.log(
      `  ${peer.name.padEnd(9)} ${mb(costs.idle).padStart(19)} ${mb(costs.loaded).padStart(29)} ${costs.startMs.toFixed(0).padStart(10)} ` +
        `${`${costs.plainConnectionKb.toFixed(1)} / ${costs.mutualConnectionKb.toFixed(1)}`.padStart(34)}`,
    );
  }
  return all;
}
