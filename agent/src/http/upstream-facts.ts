/** Where a request went, as it is logged: of the last attempt. */
import type { ConnectionInfo } from '../net/stream.ts';

export class UpstreamFacts {
  clusterName = '';
  hostLabel = '';
  peerPrincipal = '';
  tlsVersion = '';
  /** What the connection says about its failure. */
  failure = '';
  #localIp = '';
  #localPort = 0;

  reset(): void {
    this.clusterName = '';
    this.hostLabel = '';
    this.peerPrincipal = '';
    this.tlsVersion = '';
    this.failure = '';
    this.#localIp = '';
  }

  connected({ localIp, localPort, peerPrincipal, tlsVersion }: ConnectionInfo): void {
    this.#localIp = localIp;
    this.#localPort = localPort;
    this.peerPrincipal = peerPrincipal;
    this.tlsVersion = tlsVersion;
  }

  get localAddress(): string {
    if (this.#localIp === '') return '';
    return this.#localIp.includes(':')
      ? `[${this.#localIp}]:${this.#localPort}`
      : `${this.#localIp}:${this.#localPort}`;
  }
}
