/**
 * One DNS listener: takes questions over UDP and TCP, answers those about names of its table itself, and passes the rest
 * on to the pod's resolvers. Invariant: every question that could be read gets exactly one answer.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import type { Clock } from '@chainmail/runtime';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { AddressSpec } from '../model/listener.ts';
import { DnsStats } from './dns-stats.ts';
import { Forwarder, withLength } from './forwarder.ts';
import {
  type Answer,
  buildAnswer,
  buildFormatError,
  parseQuery,
  type Query,
  type ResponseCode,
  recordType,
  responseCode,
} from './message.ts';
import { addressesOf, type KnownName, NameTable } from './name-table.ts';
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts';

export interface DnsProxyOptions {
  readonly clock: Clock;
  /** The text of resolv.conf, read anew at times; '' when there is none. */
  readonly readResolvConf: () => string;
  readonly forwarder?: (stats: DnsStats) => Forwarder;
}

const internetClass = 1;
const standardQuery = 0;
/** How long what resolv.conf says is taken for granted. */
const resolvConfMs = 5_000;
const maxTcpConnections = 128;
const tcpIdleMs = 10_000;
/** Questions of one TCP connection under way at once. */
const maxTcpPending = 32;
const maxTcpQueuedBytes = 1024 * 1024;

export class DnsProxy {
  readonly stats = new DnsStats();
  readonly #options: DnsProxyOptions;
  readonly #forwarder: Forwarder;
  readonly #closers: (() => void)[] = [];
  #spec: DnsListenerSpec;
  #table: NameTable;
  #conf: ResolvConf = { resolvers: [], search: [], ndots: 1 };
  #confReadMs = Number.NEGATIVE_INFINITY;
  #turn = 0;

  constructor(spec: DnsListenerSpec, options: DnsProxyOptions) {
    this.#options = options;
    this.#spec = spec;
    this.#table = new NameTable(spec.domains);
    this.#forwarder = options.forwarder?.(this.stats) ?? new Forwarder(options.clock, this.stats);
  }

  get spec(): DnsListenerSpec {
    return this.#spec;
  }

  /** A new table, or new resolvers; the sockets stay. */
  update(spec: DnsListenerSpec): void {
    this.#spec = spec;
    this.#table = new NameTable(spec.domains);
  }

  /** Opens its sockets; a port of 0 is chosen once for both protocols. @throws when an address is taken, and closes the others */
  async listen(): Promise<readonly AddressSpec[]> {
    const opened: AddressSpec[] = [];
    for (const address of this.#spec.addresses) {
      try {
        // TCP first: of the ports that the kernel may choose, others hold many for TCP and few for UDP.
        const port = await this.#listenTcp(address);
        await this.#listenUdp({ ip: address.ip, port });
        opened.push({ ip: address.ip, port });
      } catch (error) {
        if (opened.length > 0 && isFamilyMissing(error)) continue;
        this.close();
        throw error;
      }
    }
    return opened;
  }

  async #listenUdp({ ip, port }: AddressSpec): Promise<void> {
    const socket = dgram.createSocket({ type: ip.includes(':') ? 'udp6' : 'udp4', ipv6Only: ip.includes(':') });
    this.#closers.push(() => socket.close());
    socket.on('message', (message, from) => {
      void this.#answer(message, true).then((answer) => {
        if (answer === null) return;
        this.stats.count('downstream_tx_responses');
        // The client is gone, or the proxy is closed: there is nobody to tell.
        socket.send(answer, from.port, from.address, () => {});
      });
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, ip, () => {
        socket.removeListener('error', reject);
        socket.on('error', () => this.stats.count('downstream_rx_errors'));
        resolve();
      });
    });
  }

  async #listenTcp({ ip, port }: AddressSpec): Promise<number> {
    const connections = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      connections.add(socket);
      socket.on('close', () => connections.delete(socket));
      this.#serve(socket);
    });
    server.maxConnections = maxTcpConnections;
    this.#closers.push(() => {
      server.close();
      for (const socket of connections) socket.destroy();
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, host: ip, ipv6Only: ip.includes(':') }, resolve);
    });
    return (server.address() as net.AddressInfo).port;
  }

  /** Messages with their length in front, answered as answers come (RFC 7766 section 6.2.1.1). */
  #serve(socket: net.Socket): void {
    let held: Buffer = Buffer.alloc(0);
    let pending = 0;
    socket.setTimeout(tcpIdleMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    const take = (): void => {
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0) && pending < maxTcpPending) {
        const end = 2 + held.readUInt16BE(0);
        const message = held.subarray(2, end);
        held = held.subarray(end);
        pending++;
        void this.#answer(message, false).then((answer) => {
          pending--;
          if (socket.destroyed) return;
          if (answer === null) socket.destroy();
          else {
            this.stats.count('downstream_tx_responses');
            socket.write(withLength(answer));
            if (socket.writableLength > maxTcpQueuedBytes) socket.destroy(); // it asks and does not listen
          }
          take();
          if (pending < maxTcpPending) socket.resume();
        });
      }
      if (pending >= maxTcpPending) socket.pause();
    };
    socket.on('data', (chunk: Buffer) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      take();
    });
  }

  /** null for what is no question at all. */
  async #answer(message: Buffer, overUdp: boolean): Promise<Buffer | null> {
    const { stats } = this;
    stats.count('downstream_rx_queries');
    const parsed = parseQuery(message);
    if (parsed.kind !== 'query') {
      stats.count('downstream_rx_invalid_queries');
      return parsed.kind === 'format-error' ? buildFormatError(parsed.id) : null;
    }
    const { query } = parsed;
    const own = (answer: Answer): Buffer => buildAnswer(message, query, answer, overUdp);
    if (query.opcode !== standardQuery) {
      stats.count('unsupported_queries');
      return own(failure(responseCode.notImplemented));
    }
    this.#countType(query, '');
    const known = isAddressQuery(query) ? this.#table.findAsSearched(query.name, this.#resolvConf()) : null;
    if (known !== null) return own(this.#local(known, query));
    const forwarded = await this.#forward(message, query, !overUdp);
    if (forwarded !== null) return forwarded;
    stats.count('unanswered_queries');
    return own(failure(responseCode.serverFailure));
  }

  /** A name that has only addresses of the other family exists: no addresses, and no error. */
  #local(known: KnownName, query: Query): Answer {
    const all = addressesOf(known, query.type);
    this.stats.count('known_domain_queries');
    if (all.length > 0) {
      this.stats.count(query.type === recordType.A ? 'local_a_record_answers' : 'local_aaaa_record_answers');
    }
    // Clients take the first one: each in its turn.
    const first = all.length > 1 ? this.#turn++ % all.length : 0;
    const addresses = [...all.slice(first), ...all.slice(0, first)];
    return { code: responseCode.noError, addresses, ttlS: known.ttlS, authoritative: true };
  }

  async #forward(message: Buffer, query: Query, overTcp: boolean): Promise<Buffer | null> {
    const { forward } = this.#spec;
    if (forward === null) return null;
    const resolvers = forward.resolvers ?? this.#resolvConf().resolvers.map((ip) => ({ ip, port: 0 }));
    this.#countType(query, 'external_');
    const answer = await this.#forwarder.ask(message, query, forward, resolvers, overTcp);
    if (answer === null) return null;
    this.stats.count('externally_resolved_queries');
    if (answer.facts.answers > 0) {
      if (query.type === recordType.A) this.stats.count('external_a_record_answers');
      else if (query.type === recordType.AAAA) this.stats.count('external_aaaa_record_answers');
      else this.stats.count('external_unsupported_answers');
    }
    return answer.message;
  }

  #countType(query: Query, prefix: '' | 'external_'): void {
    if (query.type === recordType.A) this.stats.count(`${prefix}a_record_queries`);
    else if (query.type === recordType.AAAA) this.stats.count(`${prefix}aaaa_record_queries`);
    else if (prefix === 'external_') this.stats.count('external_unsupported_queries');
  }

  #resolvConf(): ResolvConf {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#confReadMs >= resolvConfMs) {
      this.#confReadMs = nowMs;
      this.#conf = parseResolvConf(this.#options.readResolvConf());
    }
    return this.#conf;
  }

  close(): void {
    for (const close of this.#closers) close();
    this.#closers.length = 0;
    this.#forwarder.close();
  }
}

/** Where IPv6 is switched off, a further address of that family has nobody to serve. */
function isFamilyMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT';
}

function isAddressQuery(query: Query): boolean {
  return query.class === internetClass && (query.type === recordType.A || query.type === recordType.AAAA);
}

function failure(code: ResponseCode): Answer {
  return { code, addresses: [], ttlS: 0, authoritative: false };
}
