/** ConnectionInfo as data: made once when the connection is ready, read by policies, logs and header rules. */
import { writePem } from '@chainmail/pki/verify';
import type { SocketAddress } from '../sys/sockaddr.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import type { ConnectionInfo } from './stream.ts';

export interface TlsFacts {
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  readonly cipher: string;
  readonly sni: string;
  readonly alpn: string;
  readonly localPrincipal: string;
  /** null when the peer presented none, or none was verified. */
  readonly peer: PeerCertificate | null;
  /** DER of what the peer presented besides its leaf. */
  readonly intermediates: readonly Buffer[];
}

const none: readonly Buffer[] = [];

export class Connection implements ConnectionInfo {
  readonly remoteIp: string;
  readonly remotePort: number;
  declare readonly directRemoteIp?: string;
  declare readonly directRemotePort?: number;
  readonly localIp: string;
  readonly localPort: number;
  readonly peerPrincipal: string;
  readonly localPrincipal: string;
  readonly tlsVersion: '' | 'TLSv1.2' | 'TLSv1.3';
  readonly tlsCipher: string;
  readonly sni: string;
  readonly alpn: string;
  readonly #peer: PeerCertificate | null;
  readonly #intermediates: readonly Buffer[];

  constructor(
    remote: { readonly ip: string; readonly port: number },
    local: { readonly ip: string; readonly port: number },
    tls: TlsFacts | null,
    sni: string,
    alpn: string,
    direct: SocketAddress | null = null,
  ) {
    if (direct !== null) {
      this.directRemoteIp = direct.ip;
      this.directRemotePort = direct.port;
    }
    this.remoteIp = remote.ip;
    this.remotePort = remote.port;
    this.localIp = local.ip;
    this.localPort = local.port;
    this.peerPrincipal = tls?.peer?.principal ?? '';
    this.localPrincipal = tls?.localPrincipal ?? '';
    this.tlsVersion = tls?.version ?? '';
    this.tlsCipher = tls?.cipher ?? '';
    this.sni = tls?.sni ?? sni;
    this.alpn = tls?.alpn ?? alpn;
    this.#peer = tls?.peer ?? null;
    this.#intermediates = tls?.intermediates ?? none;
  }

  peerCertificateSha256(): string {
    return this.#peer?.sha256 ?? '';
  }

  peerSubject(): string {
    return this.#peer?.subject() ?? '';
  }

  peerCertificatePem(): string {
    return this.#peer?.pem() ?? '';
  }

  peerChainPem(): string {
    const more = this.#intermediates.map((der) => writePem('CERTIFICATE', der)).join('');
    return this.peerCertificatePem() + more;
  }

  peerUris(): readonly string[] {
    return this.#peer?.fields.uris ?? [];
  }

  peerDnsNames(): readonly string[] {
    return this.#peer?.fields.dnsNames ?? [];
  }
}
