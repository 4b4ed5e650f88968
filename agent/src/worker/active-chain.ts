/**
 * A filter chain at work: hands finished connections to its RBAC filters and its terminal filter, counts and limits
 * them, and drains them when the chain is changed or removed. Invariant: nothing of a connection reaches the terminal
 * filter before every limit has let it in, TLS is up, the peer verified and every RBAC filter has agreed.
 */

import type { FilterChainSpec, ListenerSpec, NetworkRbacSpec } from '../model/listener.ts';
import type { EdgeTable } from '../net/edge-table.ts';
import type { HandshakeGate } from '../net/handshake-gate.ts';
import type { Loop } from '../net/loop.ts';
import { Roster } from '../net/roster.ts';
import type { SocketStream, StreamOwner } from '../net/socket-stream.ts';
import type { CloseReason, ConnectionInfo, Stream, StreamHandler } from '../net/stream.ts';
import type { TlsContextSlot } from '../net/tls-contexts.ts';
import { type CompiledRbac, compileRbac, deniedDetails } from '../policy/rbac.ts';
import { listenerStat, rbacStat, workerStat, workerStatBase } from '../stats/layout.ts';
import type { PreparedUpstream, ServerFirstProbe } from '../tcp/server-first.ts';
import type { ChainContext } from './chain-context.ts';
import type { ConnectionCensus } from './connection-census.ts';
import { ConnectionLimits, overLimitDetails } from './connection-limits.ts';
import type { ConnectionTallies } from './connection-tallies.ts';
import type { TimerHandle } from './runtime.ts';

const activeSlot = workerStatBase + workerStat.at.connections_active;

/** Takes over stream.handler. denied: details of the RBAC filter that refused; then it only logs and closes. */
export interface Terminal {
  /** prepared: the connection that a guess of this terminal filter has opened. */
  accept(stream: Stream, prepared: PreparedUpstream | null): void;
  /** Opens a connection for a client that says nothing; absent where the client always speaks first. */
  speculate?(client: ConnectionInfo, onSpoke: () => void): ServerFirstProbe | null;
  deny(stream: Stream, details: string): void;
  /** The chain was replaced by one with this terminal, for the same connections. */
  succeed?(next: Terminal): void;
}

interface RbacFilter {
  readonly spec: NetworkRbacSpec;
  readonly rules: CompiledRbac | null;
  readonly shadow: CompiledRbac | null;
}

export interface ChainDependencies {
  readonly loop: Loop;
  readonly slots: Float64Array;
  readonly edges: EdgeTable;
  readonly tls: TlsContextSlot | null;
  readonly handshakes: HandshakeGate;
  readonly census: ConnectionCensus;
  readonly tallies: ConnectionTallies;
  createTerminal(spec: FilterChainSpec['terminal'], context: ChainContext): Terminal;
}

export class ActiveChain implements ChainContext, StreamOwner, StreamHandler {
  readonly spec: FilterChainSpec;
  readonly direction: ChainContext['direction'];
  readonly name: string;
  readonly listener: string;
  readonly listenerStats: number;
  readonly bufferLimitBytes: number;
  readonly tls: TlsContextSlot | null;
  /** Its rules ask for the server name, so the ClientHello must be read though the choice does not depend on it. */
  readonly readsServerName: boolean;
  /** It decides by what a request says, which a connection that nobody can read as a request would escape. */
  readonly hasRequestPolicy: boolean;
  draining = false;
  readonly #deps: ChainDependencies;
  readonly #limits: ConnectionLimits | null;
  /** Connections over a limit, until their delay is over. */
  readonly #delayed = new Map<SocketStream, TimerHandle>();
  readonly #rbac: readonly RbacFilter[];
  readonly #terminal: Terminal;
  readonly #streams = new Roster<SocketStream>();

  /** @throws UserError for rules that do not compile */
  constructor(spec: FilterChainSpec, listener: ListenerSpec, deps: ChainDependencies) {
    this.spec = spec;
    this.#deps = deps;
    this.direction = listener.direction;
    this.name = spec.name === '' ? listener.name : spec.name;
    this.listener = listener.name;
    this.listenerStats = listener.stats;
    this.bufferLimitBytes = listener.bufferLimitBytes;
    this.tls = deps.tls;
    // Several certificates: the name decides which of them is shown.
    const chooses = (spec.tls?.certificates.length ?? 0) > 1;
    this.readsServerName = chooses || JSON.stringify(spec.rbac).includes('"requested_server_name"');
    const { terminal } = spec;
    this.hasRequestPolicy =
      terminal.kind === 'http_connection_manager' && terminal.filters.some((f) => f.kind !== 'router');
    this.#limits = spec.limits === undefined ? null : new ConnectionLimits(spec.limits, deps.tallies, deps.slots);
    this.#rbac = spec.rbac.map((r) => ({
      spec: r,
      rules: r.rules === null ? null : compileRbac(r.rules),
      shadow: r.shadowRules === null ? null : compileRbac(r.shadowRules),
    }));
    this.#terminal = deps.createTerminal(spec.terminal, this);
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Adopts an accepted connection: plain ones begin now, TLS ones when they are up. */
  adopt(stream: SocketStream, known: boolean, registered: boolean, prepared: PreparedUpstream | null): void {
    stream.owner = this;
    this.#streams.add(stream);
    this.#count(listenerStat.at.downstream_cx_total, 1);
    this.#count(listenerStat.at.downstream_cx_active, 1);
    this.#deps.census.opened();
    this.#add(activeSlot, 1);
    const overLimit = this.#limits?.enter() ?? null;
    if (overLimit !== null) {
      if (prepared !== null) giveBack(prepared);
      this.#refuse(stream, overLimit.delayMs, registered);
      return;
    }
    if (this.tls !== null) {
      this.#shakeHands(stream, known, registered);
      return;
    }
    this.#begin(stream, prepared);
    if (!stream.dead) stream.start(known, registered);
  }

  #shakeHands(stream: SocketStream, known: boolean, registered: boolean): void {
    stream.limitOpening(this.spec.transportSocketConnectTimeoutMs, 'tls-failed');
    const begun = this.#deps.handshakes.enter(stream, () => stream.start(known, registered));
    if (!begun && registered) stream.hold();
  }

  /** Closes what is over a limit, at once or after the delay; nothing of it is read, and no handshake begins. */
  #refuse(stream: SocketStream, delayMs: number, registered: boolean): void {
    const close = (): void => this.#terminal.deny(stream, overLimitDetails);
    if (delayMs <= 0) {
      close();
      return;
    }
    const timer = this.#deps.loop.after(delayMs, () => {
      this.#delayed.delete(stream);
      close();
    });
    this.#delayed.set(stream, timer);
    stream.waitForEnd(registered, close);
  }

  #begin(stream: SocketStream, prepared: PreparedUpstream | null): void {
    if (this.direction !== 'outbound') {
      const { localPrincipal, peerPrincipal, tlsVersion } = stream.info;
      stream.edge = this.#deps.edges.obtain('inbound', localPrincipal, peerPrincipal, this.name, tlsVersion);
      stream.edge.connections++;
      stream.edge.active++;
    }
    const refusedBy = this.#authorize(stream.info);
    if (refusedBy === null) {
      this.#terminal.accept(stream, prepared);
      return;
    }
    if (stream.edge !== null) stream.edge.failures++;
    this.#terminal.deny(stream, deniedDetails(refusedBy));
  }

  /** Name of the policy that refuses, or null. */
  #authorize(info: ConnectionInfo): string | null {
    for (const { spec, rules, shadow } of this.#rbac) {
      if (shadow !== null) {
        const { allowed } = shadow.checkConnection(info);
        this.#add(spec.stats + (allowed ? rbacStat.at.shadow_allowed : rbacStat.at.shadow_denied), 1);
      }
      if (rules === null) continue;
      const { allowed, policy } = rules.checkConnection(info);
      this.#add(spec.stats + (allowed ? rbacStat.at.allowed : rbacStat.at.denied), 1);
      if (!allowed) return policy;
    }
    return null;
  }

  /** Dials on a guess: only in plaintext, and only for whom every rule lets through. Counts nothing. */
  speculate(client: ConnectionInfo, onSpoke: () => void): ServerFirstProbe | null {
    if (this.tls !== null || this.#terminal.speculate === undefined || this.#limits?.hasRoom === false) return null;
    const allowed = this.#rbac.every(({ rules }) => rules === null || rules.checkConnection(client).allowed);
    return allowed ? this.#terminal.speculate(client, onSpoke) : null;
  }

  onOpened(stream: SocketStream): void {
    this.#deps.handshakes.leave(stream);
    stream.tlsEnd?.slot.connections.add(stream);
    this.#count(listenerStat.at['ssl.handshake'], 1);
  }

  /** Only TLS connections come this way: until they are up, the chain itself is their handler. */
  onConnected(stream: Stream): void {
    this.#begin(stream as SocketStream, null);
  }

  onReadable(): void {}
  onDrained(): void {}
  onClosed(_stream: Stream, _reason: CloseReason): void {}

  onReleased(stream: SocketStream): void {
    this.#streams.delete(stream);
    this.#limits?.leave();
    this.#delayed.get(stream)?.cancel();
    this.#delayed.delete(stream);
    if (this.tls !== null) this.#deps.handshakes.leave(stream);
    stream.tlsEnd?.slot.connections.delete(stream);
    this.#count(listenerStat.at.downstream_cx_active, -1);
    this.#deps.census.closed();
    this.#add(activeSlot, -1);
    this.#count(listenerStat.at.downstream_cx_destroy, 1);
    if (stream.edge !== null) stream.edge.active--;
    const at = listenerStat.at;
    switch (stream.tlsEnd?.refusal) {
      case 'no-certificate':
        this.#count(at['ssl.fail_verify_no_cert'], 1);
        break;
      case 'verify':
        this.#count(at['ssl.fail_verify_error'], 1);
        break;
      case 'san':
        this.#count(at['ssl.fail_verify_san'], 1);
        break;
      case 'hash':
        this.#count(at['ssl.fail_verify_cert_hash'], 1);
        break;
      case 'other':
        this.#count(at['ssl.connection_error'], 1);
        break;
    }
  }

  #count(offset: number, by: number): void {
    this.#add(this.listenerStats + offset, by);
  }

  #add(slot: number, by: number): void {
    this.#deps.slots[slot] = (this.#deps.slots[slot] ?? 0) + by;
  }

  /** Whether connections of the other chain could have come to this one: only what is done with them has changed. */
  succeeds(other: ActiveChain): boolean {
    const same = (pick: (spec: FilterChainSpec) => unknown): boolean =>
      JSON.stringify(pick(this.spec)) === JSON.stringify(pick(other.spec));
    return this.spec.name !== '' && same((s) => s.name) && same((s) => s.tls) && same((s) => s.rbac);
  }

  /**
   * Lets connections finish what they do; what is left after the deadline is closed. With a successor, requests that
   * begin on them are already judged by its rules: a policy that was acknowledged must hold for the next request.
   */
  drain(deadlineMs: number, successor?: ActiveChain): void {
    this.draining = true;
    if (successor !== undefined) this.#terminal.succeed?.(successor.#terminal);
    if (this.#streams.size > 0) this.#deps.loop.after(deadlineMs, () => this.closeAll());
  }

  closeAll(): void {
    for (const stream of this.#streams.all()) stream.abort('local', 'the listener was drained');
  }
}

function giveBack({ leg }: PreparedUpstream): void {
  leg.stream.close();
  leg.release('local');
}
