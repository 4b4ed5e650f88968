/**
 * A listener at work: its sockets, the way of a new connection to its filter chain, and live updates of both.
 * Invariants: a socket whose address stays is never closed; a chain whose key stays keeps its connections; a
 * connection without a chain is closed before a byte of it is read.
 */
import { reservedPorts } from '@chainmail/runtime/well-known';
import type { AddressSpec, FilterChainSpec, ListenerSpec, ProxyProtocolSpec } from '../model/listener.ts';
import { type AcceptOwner, AcceptSocket } from '../net/accept-socket.ts';
import { Connection } from '../net/connection.ts';
import { FilterChainMatcher, type Needs } from '../net/filter-chain-match.ts';
import {
  type Findings,
  type Guess,
  type Inspected,
  Inspection,
  type InspectionOwner,
  noFindings,
} from '../net/inspection.ts';
import type { Loop } from '../net/loop.ts';
import { ProxyHeaderReader, type ProxyOutcome } from '../net/proxy-header-reader.ts';
import { SocketStream } from '../net/socket-stream.ts';
import { TlsEnd } from '../net/tls-end.ts';
import { listenerFilterStat, listenerHistogram, listenerStat, observe, proxyProtoStat } from '../stats/layout.ts';
import * as libc from '../sys/libc.ts';
import { localAddress, originalDestination, type SocketAddress } from '../sys/tcp.ts';
import type { PreparedUpstream, ServerFirstProbe } from '../tcp/server-first.ts';
import type { ActiveChain } from './active-chain.ts';
import type { ConnectionCensus } from './connection-census.ts';
import { judgeProxyHeader } from './proxy-header-verdict.ts';

export interface ListenerDependencies {
  readonly loop: Loop;
  readonly slots: Float64Array;
  readonly census: ConnectionCensus;
  createChain(spec: FilterChainSpec, listener: ListenerSpec): ActiveChain;
  /** Whether a port is one of ours: no redirected connection may lead there. */
  isOwnPort(port: number): boolean;
  report(level: 'warn' | 'info', msg: string, fields: Readonly<Record<string, string | number>>): void;
  readonly drainMs: number;
}

/** A client that is going to speak has done so by then; the dial is for those that wait. */
const silenceMs = 50;

/** Dialled for a silent client, on behalf of the chain that an opaque connection gets. */
interface ServerFirstGuess extends Guess {
  readonly chain: ActiveChain;
  readonly probe: ServerFirstProbe;
}

const addressKey = ({ ip, port }: AddressSpec): string => `${ip} ${port}`;

export class ActiveListener implements AcceptOwner, InspectionOwner {
  #spec: ListenerSpec;
  readonly #deps: ListenerDependencies;
  #sockets = new Map<string, AcceptSocket>();
  #chains = new Map<string, ActiveChain>();
  #matcher: FilterChainMatcher<ActiveChain> = new FilterChainMatcher<ActiveChain>([], null);
  #anyReadsServerName = false;
  #accepting = true;
  #exhausted = false;

  constructor(spec: ListenerSpec, deps: ListenerDependencies) {
    this.#spec = spec;
    this.#deps = deps;
  }

  get spec(): ListenerSpec {
    return this.#spec;
  }

  /** Ports that are listened on. */
  get ports(): readonly number[] {
    return [...this.#sockets.values()].map((s) => s.bound.port);
  }

  /** Chains first, then sockets: a new socket finds everything in place. @throws when a chain does not compile */
  apply(spec: ListenerSpec): readonly string[] {
    this.#applyChains(spec);
    this.#spec = spec;
    return this.#accepting ? this.#applySockets(spec) : [];
  }

  #applyChains(spec: ListenerSpec): void {
    const next = new Map<string, ActiveChain>();
    const obtain = (chain: FilterChainSpec): ActiveChain => {
      const made = next.get(chain.key) ?? this.#chains.get(chain.key) ?? this.#deps.createChain(chain, spec);
      next.set(chain.key, made);
      return made;
    };
    const matches = spec.chains.map((c) => ({ match: c.match, chain: obtain(c) }));
    const otherwise = spec.defaultChain === null ? null : obtain(spec.defaultChain);
    this.#matcher = new FilterChainMatcher(matches, otherwise);
    for (const [key, chain] of this.#chains) {
      if (next.has(key)) continue;
      const successor = [...next.values()].find((c) => c.succeeds(chain));
      chain.drain(this.#deps.drainMs, successor);
    }
    this.#chains = next;
    this.#anyReadsServerName = [...next.values()].some((c) => c.readsServerName);
  }

  #applySockets(spec: ListenerSpec): readonly string[] {
    const errors: string[] = [];
    const wanted = new Map(spec.addresses.map((a) => [addressKey(a), a]));
    for (const [key, address] of wanted) {
      if (this.#sockets.has(key)) continue;
      try {
        this.#sockets.set(key, new AcceptSocket(this.#deps.loop, address, spec.backlog, this));
      } catch (error) {
        errors.push(`listener ${spec.name}: ${error instanceof Error ? error.message : 'cannot listen'}`);
      }
    }
    for (const [key, socket] of this.#sockets) {
      if (wanted.has(key)) continue;
      socket.close();
      this.#sockets.delete(key);
    }
    return errors;
  }

  /** Closes the sockets; connections stay. */
  stopAccepting(): void {
    this.#accepting = false;
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** The listener is gone from the configuration, or the process is going. */
  drain(deadlineMs: number): void {
    this.stopAccepting();
    for (const chain of this.#chains.values()) chain.drain(deadlineMs);
  }

  closeAll(): void {
    for (const chain of this.#chains.values()) chain.closeAll();
  }

  get acceptsPerTurn(): number {
    return this.#spec.acceptsPerTurn ?? 0;
  }

  onTurn(accepted: number): void {
    const at = this.#spec.stats + listenerHistogram.connections_accepted_per_socket_event;
    observe(this.#deps.slots, at, accepted);
  }

  onAccepted(fd: number, remote: SocketAddress, socket: AcceptSocket): void {
    this.#exhausted = false;
    if (this.#deps.census.isFull && this.#spec.ignoreGlobalLimit !== true) {
      this.#count(listenerStat.at.downstream_global_cx_overflow, 1);
      libc.close(BigInt(fd), 0n);
      return;
    }
    const local = this.#destinationOf(fd, socket);
    if (local === null) {
      this.#count(listenerStat.at.downstream_cx_not_redirected, 1);
      libc.close(BigInt(fd), 0n);
      return;
    }
    const connection = { fd, remote, local, direct: null };
    const { proxyProtocol, listenerFiltersTimeoutMs } = this.#spec;
    if (proxyProtocol === undefined || proxyProtocol === null) this.#inspect(connection, listenerFiltersTimeoutMs);
    else this.#readProxyHeader(connection, proxyProtocol, listenerFiltersTimeoutMs);
  }

  #readProxyHeader(connection: Inspected, proxyProtocol: ProxyProtocolSpec, listenerFiltersTimeoutMs: number): void {
    this.#count(listenerStat.at.downstream_pre_cx_active, 1);
    const begunMs = this.#deps.loop.nowMs;
    const left = (): number =>
      listenerFiltersTimeoutMs <= 0 ? 0 : Math.max(1, listenerFiltersTimeoutMs - (this.#deps.loop.nowMs - begunMs));
    const onHeader = (outcome: ProxyOutcome): boolean => this.#onProxyHeader(connection, proxyProtocol, outcome, left);
    new ProxyHeaderReader(this.#deps.loop, connection.fd, { onHeader }).start(listenerFiltersTimeoutMs);
  }

  /** False: the connection is refused, and its descriptor is the reader's to close. */
  #onProxyHeader(c: Inspected, spec: ProxyProtocolSpec, outcome: ProxyOutcome, left: () => number): boolean {
    this.#count(listenerStat.at.downstream_pre_cx_active, -1);
    if (outcome.kind === 'timeout') this.#count(listenerStat.at.downstream_pre_cx_timeout, 1);
    const verdict = judgeProxyHeader(spec, outcome);
    if (verdict.count !== null) this.#add(spec.stats + proxyProtoStat.at[verdict.count], 1);
    if (verdict.isError) this.#add(spec.errorStats + listenerFilterStat.at.downstream_cx_proxy_proto_error, 1);
    if (!verdict.goesOn) return false;
    const { addresses } = verdict;
    if (addresses === null) this.#inspect(c, left());
    else if (!this.#mayReach(addresses.local.port)) {
      this.#count(listenerStat.at.downstream_cx_not_redirected, 1);
      return false;
    } else this.#inspect({ fd: c.fd, ...addresses, direct: c.remote }, left());
    return true;
  }

  #inspect(connection: Inspected, timeoutMs: number): void {
    const { local } = connection;
    const needs = this.#needs(local);
    if (!needs.tls && !needs.http) {
      this.#choose(connection, noFindings, false, null);
      return;
    }
    this.#count(listenerStat.at.downstream_pre_cx_active, 1);
    const { continueOnListenerFiltersTimeout } = this.#spec;
    const guarded = this.#hasRequestPolicy(local);
    const limits = {
      silenceMs: guarded ? 0 : silenceMs,
      timeoutMs,
      continueOnTimeout: continueOnListenerFiltersTimeout && !guarded,
    };
    new Inspection(this.#deps.loop, connection, needs, limits, this).start();
  }

  /** Whether a plaintext connection to there could fall under rules about requests. */
  #hasRequestPolicy(local: SocketAddress): boolean {
    return this.#matcher.plaintextCandidates(local.ip, local.port).some((c) => c.hasRequestPolicy);
  }

  onSilent(connection: Inspected, onConfirmed: () => void): ServerFirstGuess | null {
    const chain = this.#find(connection, noFindings);
    const { remote, local, direct } = connection;
    const client = new Connection(remote, local, null, '', '', direct);
    const probe = chain?.speculate(client, onConfirmed) ?? null;
    if (chain === null || probe === null) return null;
    return { chain, probe, cancel: () => probe.cancel() };
  }

  #needs(local: SocketAddress): Needs {
    const { tlsInspector, httpInspector } = this.#spec;
    if (!tlsInspector && !httpInspector) return nothing;
    const needs = this.#matcher.needs(local.ip, local.port);
    const tls = tlsInspector && (needs.tls || this.#anyReadsServerName);
    return { tls, http: httpInspector && needs.http };
  }

  /** Where the client wanted to go, or null when it may not go there. */
  #destinationOf(fd: number, socket: AcceptSocket): SocketAddress | null {
    const { bound, family } = socket;
    if (!this.#spec.originalDst) {
      return bound.ip === '0.0.0.0' || bound.ip === '::' ? localAddress(BigInt(fd)) : bound;
    }
    // A connection that was not redirected gives the listener's own address: own ports cover that case, too.
    const original = originalDestination(BigInt(fd), family);
    return original !== null && this.#mayReach(original.port) ? original : null;
  }

  /** Whether a connection that names its own destination may name this port: none of ours. */
  #mayReach(port: number): boolean {
    if (!this.#spec.originalDst) return true;
    return !this.#deps.isOwnPort(port) && !(port >= reservedPorts.first && port <= reservedPorts.last);
  }

  onDecided(connection: Inspected, findings: Findings, registered: boolean, guess: ServerFirstGuess | null): void {
    this.#count(listenerStat.at.downstream_pre_cx_active, -1);
    this.#countFindings(findings);
    this.#choose(connection, findings, registered, guess);
  }

  onAbandoned(cause: 'closed' | 'timeout'): void {
    this.#count(listenerStat.at.downstream_pre_cx_active, -1);
    if (cause === 'timeout') this.#count(listenerStat.at.downstream_pre_cx_timeout, 1);
  }

  #find({ remote, local }: Inspected, findings: Findings): ActiveChain | null {
    return this.#matcher.find({
      destinationIp: local.ip,
      destinationPort: local.port,
      sourceIp: remote.ip,
      sourcePort: remote.port,
      serverName: findings.serverName,
      transportProtocol: findings.tls === 'found' ? 'tls' : 'raw_buffer',
      applicationProtocols: findings.applicationProtocols,
    });
  }

  #choose(connection: Inspected, findings: Findings, registered: boolean, guess: ServerFirstGuess | null): void {
    const { fd, remote, local, direct } = connection;
    const chain = this.#find(connection, findings);
    const prepared = this.#settle(guess, chain);
    if (chain === null) {
      this.#count(listenerStat.at.no_filter_chain_match, 1);
      this.#deps.loop.forget(fd);
      libc.close(BigInt(fd), 0n);
      return;
    }
    const end = chain.tls === null ? null : new TlsEnd(chain.tls, findings.serverName);
    const protocol = findings.applicationProtocols[0] ?? '';
    const info = new Connection(remote, local, null, findings.serverName, protocol, direct);
    const stream = new SocketStream(this.#deps.loop, fd, chain, info, end, false);
    chain.adopt(stream, findings !== noFindings, registered, prepared);
  }

  /** A guess for another chain is dropped. */
  #settle(guess: ServerFirstGuess | null, chain: ActiveChain | null): PreparedUpstream | null {
    if (guess === null) return null;
    if (guess.chain === chain) return guess.probe.take();
    guess.probe.cancel();
    return null;
  }

  onExhausted(reason: string): void {
    this.#count(listenerStat.at.downstream_cx_overflow, 1);
    if (this.#exhausted) return;
    this.#exhausted = true;
    this.#deps.report('warn', 'cannot accept connections', { listener: this.#spec.name, reason });
  }

  #countFindings({ tls, http }: Findings): void {
    const at = listenerStat.at;
    if (tls === 'found') this.#count(at['tls_inspector.tls_found'], 1);
    else if (tls === 'absent') this.#count(at['tls_inspector.tls_not_found'], 1);
    if (http === 'http/1.0') this.#count(at['http_inspector.http10_found'], 1);
    else if (http === 'http/1.1') this.#count(at['http_inspector.http11_found'], 1);
    else if (http === 'h2c') this.#count(at['http_inspector.http2_found'], 1);
    else if (http === 'not-http') this.#count(at['http_inspector.http_not_found'], 1);
  }

  #count(offset: number, by: number): void {
    this.#add(this.#spec.stats + offset, by);
  }

  #add(slot: number, by: number): void {
    this.#deps.slots[slot] = (this.#deps.slots[slot] ?? 0) + by;
  }
}

const nothing: Needs = { tls: false, http: false };
