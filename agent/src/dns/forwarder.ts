/**
 * Questions to the pod's own resolvers, unchanged but for the id. Each goes out on a socket of its own, from a port and
 * with an id that nobody can guess, connected, so that the kernel drops what comes from elsewhere; an answer counts only
 * with that id and that question (RFC 5452). Invariant: never more than maxPending under way, each ends by its deadline.
 */
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import type { Clock } from '@chainmail/runtime';
import type { DnsForwardSpec } from '../model/dns.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { DnsStats } from './dns-stats.ts';
import { type AnswerFacts, type Query, readAnswer, responseCode } from './message.ts';

const dnsPort = 53;
/** RFC 7766: over TCP a message has its length in front. */
const lengthBytes = 2;

export interface Forwarded {
  /** With the client's id. */
  readonly message: Buffer;
  readonly facts: AnswerFacts;
}

export class Forwarder {
  readonly #clock: Clock;
  readonly #stats: DnsStats;
  readonly #random: (limit: number) => number;
  readonly #port: number;
  #pending = 0;
  #next = 0;
  readonly #open = new Set<() => void>();

  /** random: a whole number below the limit, not to be guessed. port: of resolvers that do not say; for tests. */
  constructor(clock: Clock, stats: DnsStats, random: (limit: number) => number = randomInt, port = dnsPort) {
    this.#clock = clock;
    this.#stats = stats;
    this.#random = random;
    this.#port = port;
  }

  get pending(): number {
    return this.#pending;
  }

  /** null when nobody has answered, or too many questions are under way. */
  async ask(
    message: Buffer,
    query: Query,
    spec: DnsForwardSpec,
    resolvers: readonly AddressSpec[],
    overTcp: boolean,
  ): Promise<Forwarded | null> {
    if (this.#pending >= spec.maxPending) {
      this.#stats.count('external_overflow');
      return null;
    }
    this.#pending++;
    try {
      return await this.#askInTurn(message, query, spec, resolvers, overTcp);
    } finally {
      this.#pending--;
    }
  }

  /** One after the other, beginning with the one that answered last; a resolver that failed is not the last word. */
  async #askInTurn(
    message: Buffer,
    query: Query,
    spec: DnsForwardSpec,
    resolvers: readonly AddressSpec[],
    overTcp: boolean,
  ): Promise<Forwarded | null> {
    let failed: Forwarded | null = null;
    const first = this.#next;
    for (let tried = 0; tried <= spec.retries && resolvers.length > 0; tried++) {
      const index = (first + tried) % resolvers.length;
      const resolver = resolvers[index] as AddressSpec;
      const answer = await this.#askOne(message, query, resolver, spec.timeoutMs, overTcp);
      if (answer !== null && answer.facts.code !== responseCode.serverFailure) {
        this.#next = index;
        return answer;
      }
      failed = answer ?? failed;
    }
    return failed;
  }

  #askOne(
    message: Buffer,
    query: Query,
    resolver: AddressSpec,
    timeoutMs: number,
    overTcp: boolean,
  ): Promise<Forwarded | null> {
    const id = this.#random(0x10000);
    const asked = Buffer.from(message);
    asked.writeUInt16BE(id, 0);
    const address = { ip: resolver.ip, port: resolver.port || this.#port };
    return new Promise((resolve) => {
      let close = (): void => {};
      const done = (answer: Forwarded | null): void => {
        timer.cancel();
        this.#open.delete(stop);
        close();
        resolve(answer);
      };
      const stop = (): void => done(null);
      const timer = this.#clock.after(timeoutMs, () => {
        this.#stats.count('external_timeouts');
        done(null);
      });
      this.#open.add(stop);
      const onMessage = (answer: Buffer): void => {
        const facts = readAnswer(answer, asked, query.questionEnd, id);
        if (facts === null) {
          this.#stats.count('external_invalid_answers');
          return;
        }
        const own = Buffer.from(answer);
        own.writeUInt16BE(query.id, 0);
        done({ message: own, facts });
      };
      close = overTcp ? askOverTcp(address, asked, onMessage, stop) : askOverUdp(address, asked, onMessage, stop);
    });
  }

  /** Gives everything up that is under way. */
  close(): void {
    for (const stop of [...this.#open]) stop();
  }
}

/** The returned function closes the socket; called once. The kernel chooses a random port. */
function askOverUdp(
  { ip, port }: AddressSpec,
  asked: Buffer,
  onMessage: (message: Buffer) => void,
  onFailure: () => void,
): () => void {
  const socket = dgram.createSocket(ip.includes(':') ? 'udp6' : 'udp4');
  let closed = false;
  socket.on('error', () => {
    if (!closed) onFailure();
  });
  socket.on('message', (message) => {
    if (!closed) onMessage(message);
  });
  socket.connect(port, ip, () => {
    if (!closed) socket.send(asked);
  });
  return () => {
    closed = true;
    socket.close();
  };
}

function askOverTcp(
  { ip, port }: AddressSpec,
  asked: Buffer,
  onMessage: (message: Buffer) => void,
  onFailure: () => void,
): () => void {
  const socket = net.connect({ host: ip, port });
  let held: Buffer = Buffer.alloc(0);
  let closed = false;
  const fail = (): void => {
    if (!closed) onFailure();
  };
  socket.on('error', fail);
  socket.on('end', fail);
  socket.on('close', fail);
  socket.on('connect', () => socket.write(withLength(asked)));
  socket.on('data', (chunk: Buffer) => {
    if (closed) return;
    held = Buffer.concat([held, chunk]);
    if (held.length < lengthBytes) return;
    const end = lengthBytes + held.readUInt16BE(0);
    if (held.length >= end) onMessage(held.subarray(lengthBytes, end));
  });
  return () => {
    closed = true;
    socket.destroy();
  };
}

export function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}
