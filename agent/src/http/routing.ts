/**
 * Where one request goes, however many attempts that takes: the route and action that hold for it, its cluster, and by
 * what the cluster picks hosts. Invariant: from `choose` to `reset` nothing of it changes but `tried`.
 */
import type { Cluster, Host, PickContext } from '../cluster/cluster.ts';
import { method } from '../http1/known-headers.ts';
import type { MetadataMatchSpec } from '../model/cluster.ts';
import type { RouteActionSpec } from '../model/http.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { takeWishes } from './caller-wishes.ts';
import { chooseCluster, findCluster } from './choose-cluster.ts';
import type { CompiledRoute } from './compiled-route.ts';
import { ConnectTunnel } from './connect-tunnel.ts';
import type { Exchange } from './exchange.ts';
import { asGrpcCall } from './legacy-grpc-timeout.ts';
import { poolOf } from './pool-of.ts';
import type { RequestPool } from './upstream-request.ts';

export class Routing implements PickContext {
  readonly #exchange: Exchange;
  readonly #runtime: WorkerRuntime;
  #route: CompiledRoute | null = null;
  #action: RouteActionSpec | null = null;
  #cluster: Cluster | null = null;
  tried: Host[] = [];
  destination: AddressSpec | null = null;
  hash: bigint | null = null;
  subset: MetadataMatchSpec | null = null;

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.#exchange = exchange;
    this.#runtime = runtime;
  }

  reset(): void {
    this.#route = null;
    this.#action = null;
    this.#cluster = null;
    if (this.tried.length > 0) this.tried = [];
    this.destination = null;
    this.hash = null;
    this.subset = null;
  }

  /**
   * Settles it for a request that matched a route with an action of its own: by the weights of the clusters, by what a
   * gRPC client says of its time, by an internal caller's wishes. Null when there is no such cluster.
   */
  choose(matched: CompiledRoute, own: RouteActionSpec): Cluster | null {
    const { view, requestHead, downstream } = this.#exchange;
    const index = chooseCluster(own, view, this.#runtime.random);
    const chosen = matched.byCluster?.[index] ?? matched;
    const timed = view.isGrpc ? asGrpcCall(requestHead, chosen, own) : null;
    const base = timed?.route ?? chosen;
    const wished = view.internal ? takeWishes(requestHead, base, timed?.action ?? own) : null;
    const action = wished?.action ?? timed?.action ?? own;
    const route = wished?.route ?? base;
    this.#route = route;
    this.#action = action;
    const cluster = findCluster(action, index, view, this.#runtime);
    if (cluster === null) return null;
    this.#cluster = cluster;
    const { info } = downstream;
    if (cluster.spec.type === 'original_dst') this.destination = { ip: info.localIp, port: info.localPort };
    if (route.hash !== null) this.hash = route.hash(this.#exchange);
    this.subset = action.clusters[index]?.subset ?? action.subset ?? null;
    return cluster;
  }

  get route(): CompiledRoute {
    if (this.#route === null) throw new Error('routing: used before choose');
    return this.#route;
  }

  get action(): RouteActionSpec {
    if (this.#action === null) throw new Error('routing: used before choose');
    return this.#action;
  }

  get cluster(): Cluster {
    if (this.#cluster === null) throw new Error('routing: used before choose');
    return this.#cluster;
  }

  /** How a host is reached: by the pool that hangs on it, or by a TCP connection of its own for what ends here. */
  poolFor(host: Host): RequestPool {
    const { cluster, action } = this;
    if (!this.#endsHere(action)) return poolOf(cluster, host, this.#runtime);
    const { info } = this.#exchange.downstream;
    return new ConnectTunnel(cluster, host, action.tunnelProxyHeader ?? null, info, this.#runtime);
  }

  /** A CONNECT, or a POST in its stead, whose bytes go to a TCP connection. */
  #endsHere({ terminatesConnect, terminatesPost }: RouteActionSpec): boolean {
    if (terminatesConnect !== true) return false;
    const { requestHead, router } = this.#exchange;
    const asked = requestHead.method;
    return router.wantsUpgrade ? asked === method.CONNECT : terminatesPost === true && asked === method.POST;
  }
}
