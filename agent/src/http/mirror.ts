/** The copies of a request: which go where by the mirror policies of its route, and what each hears of the body. */
import type { Cluster } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import type { MirrorSpec } from '../model/http.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { ownIpv4 } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import { type BodyPart, Shadow, type ShadowedRequest } from './shadow.ts';

const { retry_or_shadow_abandoned: abandonedAt } = clusterStat.at;

export class Mirroring {
  readonly #exchange: Exchange;
  readonly #runtime: WorkerRuntime;
  /** The copies of a request that is still coming, each with the next; null without. */
  #first: Shadow | null = null;

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.#exchange = exchange;
    this.#runtime = runtime;
  }

  /**
   * Copies the request for each mirror that takes it this time, with the part [start, end) of its body. A copy that is
   * given up counts in the cluster of the request itself.
   */
  start(
    mirrors: readonly MirrorSpec[],
    request: Pick<ShadowedRequest, 'framing' | 'hash' | 'timeoutMs'>,
    cluster: Cluster,
    start: number,
    end: number,
    last: boolean,
  ): void {
    const { requestHead: head, downstream } = this.#exchange;
    const { info, protocol: downstreamProtocol } = downstream;
    const destination = { ip: info.localIp, port: info.localPort };
    const abandonedSlot = cluster.stats + abandonedAt;
    const whole = { ...request, head, downstreamProtocol, destination, abandonedSlot };
    const part = this.#part(start, end, last);
    for (const mirror of mirrors) {
      const to = this.#clusterOf(mirror);
      if (to === null) continue;
      const shadow = new Shadow(to, whole, this.#runtime);
      markAsShadow(shadow.requestHead, mirror.hostSuffix);
      shadow.start(part);
      shadow.next = this.#first;
      this.#first = shadow;
    }
    if (last) this.#first = null;
  }

  /** Null for what is not copied this time. */
  #clusterOf({ fraction, clusterHeader, cluster }: MirrorSpec): Cluster | null {
    if (fraction !== null && this.#runtime.random() >= fraction) return null;
    const name = clusterHeader === '' ? cluster : (this.#exchange.requestHead.get(clusterHeader) ?? '');
    return this.#runtime.cluster(name) ?? null;
  }

  /** More of the body. */
  data(start: number, end: number, last: boolean): void {
    if (this.#first === null) return;
    const part = this.#part(start, end, last);
    for (let shadow: Shadow | null = this.#first; shadow !== null; shadow = shadow.next) shadow.data(part);
    if (last) this.#first = null;
  }

  /** The request ends; half a copy is no use. */
  end(): void {
    for (let shadow = this.#first; shadow !== null; shadow = shadow.next) shadow.requestEnded();
    this.#first = null;
  }

  #part(start: number, end: number, last: boolean): BodyPart {
    return { from: this.#runtime.readBuffer, start, end, last, trailers: this.#exchange.requestTrailers };
  }
}

/** As Envoy's own client sends it: the host says that it is a copy, and the request comes from this proxy. */
function markAsShadow(head: Head, hostSuffix: boolean): void {
  const host = head.get('host');
  if (host !== null && hostSuffix) head.set('host', shadowHost(host));
  head.set('x-envoy-internal', 'true');
  const before = head.getAll('x-forwarded-for').join(',');
  head.set('x-forwarded-for', before === '' ? ownIpv4() : `${before},${ownIpv4()}`);
}

/** `a.example:80` is `a.example-shadow:80`. */
export function shadowHost(host: string): string {
  const port = /:[0-9]+$/.exec(host)?.[0] ?? '';
  return `${host.slice(0, host.length - port.length)}-shadow${port}`;
}
