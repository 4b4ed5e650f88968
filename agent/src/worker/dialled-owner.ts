/** Counts one connection to an upstream host: its edge, and the cluster's TLS statistics. */
import { inboundSource } from '@chainmail/runtime/well-known';
import type { Edge } from '../net/edge.ts';
import type { EdgeTable } from '../net/edge-table.ts';
import type { SocketStream, StreamOwner } from '../net/socket-stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { DialOptions } from './runtime.ts';

export class DialledOwner implements StreamOwner {
  readonly #dial: DialOptions;
  readonly #slots: Float64Array;
  readonly #stats: number;
  readonly #edges: EdgeTable;
  #edge: Edge | null = null;

  /** stats: first slot of the cluster's block, or -1 when the cluster is gone. */
  constructor(dial: DialOptions, slots: Float64Array, stats: number, edges: EdgeTable) {
    this.#dial = dial;
    this.#slots = slots;
    this.#stats = stats;
    this.#edges = edges;
  }

  onOpened(stream: SocketStream): void {
    stream.tlsEnd?.slot.connections.add(stream);
    const { localPrincipal, peerPrincipal, tlsVersion } = stream.info;
    if (tlsVersion !== '') this.#count(clusterStat.at['ssl.handshake']);
    const { bind, target } = this.#dial;
    if (bind === inboundSource.v4 || bind === inboundSource.v6) return; // the last step to our own application
    const edge = this.#edges.obtain('outbound', localPrincipal, peerPrincipal, target, tlsVersion);
    edge.connections++;
    edge.active++;
    this.#edge = edge;
    stream.edge = edge;
  }

  onReleased(stream: SocketStream): void {
    if (this.#edge !== null) this.#edge.active--;
    stream.tlsEnd?.slot.connections.delete(stream);
    switch (stream.tlsEnd?.refusal) {
      case 'san':
        this.#count(clusterStat.at['ssl.fail_verify_san']);
        break;
      case 'hash':
        this.#count(clusterStat.at['ssl.fail_verify_cert_hash']);
        break;
      case 'verify':
      case 'no-certificate':
        this.#count(clusterStat.at['ssl.fail_verify_error']);
        break;
      case 'other':
        this.#count(clusterStat.at['ssl.connection_error']);
        break;
    }
  }

  #count(offset: number): void {
    if (this.#stats < 0) return;
    const slot = this.#stats + offset;
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1;
  }
}
