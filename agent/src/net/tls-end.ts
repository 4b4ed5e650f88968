/** Our end of one TLS connection: which context it uses, the verdict on the peer, and what became of the handshake. */
import { reasons } from '../sys/openssl.ts';
import type { HandshakeOwner, TlsContextHandle } from '../sys/tls-context.ts';
import { TlsSession } from '../sys/tls-session.ts';
import { Connection } from './connection.ts';
import type { Loop } from './loop.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import { SessionInput } from './secure-input.ts';
import type { ConnectionInfo } from './stream.ts';
import type { TlsContext, TlsContextSlot } from './tls-contexts.ts';
import { TlsRecords } from './tls-records.ts';

/** Why a handshake failed, as Envoy's ssl.* counters tell it apart. */
export type TlsRefusal = 'none' | 'no-certificate' | 'verify' | 'san' | 'hash' | 'other';

export class TlsEnd implements HandshakeOwner {
  refusal: TlsRefusal = 'none';
  readonly #slot: TlsContextSlot;
  readonly #sni: string;
  readonly #alpn: readonly string[] | null;
  #context: TlsContext | null = null;
  #handle: TlsContextHandle | null = null;
  #peer: PeerCertificate | null = null;
  #intermediates: readonly Buffer[] = [];
  #reason = '';
  /** The secrets of TLS 1.3, once the handshake has come to them. */
  #clientSecret: Buffer | null = null;
  #serverSecret: Buffer | null = null;

  /** sni: sent by clients, '' for none; servers give what the listener filter has seen. alpn: instead of the context's. */
  constructor(slot: TlsContextSlot, sni: string, alpn?: readonly string[]) {
    this.#slot = slot;
    this.#alpn = alpn ?? null;
    this.#sni = sni;
  }

  get slot(): TlsContextSlot {
    return this.#slot;
  }

  /** The peer that was verified, or null. */
  get peer(): PeerCertificate | null {
    return this.#peer;
  }

  get context(): TlsContextHandle {
    if (this.#handle === null) throw new Error('the TLS connection has not been started');
    return this.#handle;
  }

  /** @throws Error when a secret is missing: the connection is refused. */
  start(fd: bigint): TlsSession {
    this.refusal = 'other';
    this.#context = this.#slot.get();
    this.#handle = this.#context.handleFor(this.#sni);
    const session = new TlsSession(this, fd, this.context.role === 'client' ? this.#sni : '');
    if (this.#alpn !== null) session.offer(this.#alpn);
    return session;
  }

  chainRefused(reason: string): void {
    this.refusal = 'verify';
    this.#reason = reason;
  }

  acceptPeer(chain: readonly Buffer[]): boolean {
    const verdict = this.#context?.check?.accepts(chain);
    if (verdict?.ok === true) {
      this.#peer = verdict.peer;
      if (this.#peer.issuers.length === 0) this.#peer.issuers = chain.slice(1);
      this.#intermediates = chain.slice(1);
      return true;
    }
    this.refusal = verdict?.cause ?? 'verify';
    this.#reason = verdict?.reason ?? 'nothing to check the peer against';
    return false;
  }

  secret(sender: 'client' | 'server', bytes: Buffer): void {
    if (sender === 'client') this.#clientSecret = bytes;
    else this.#serverSecret = bytes;
  }

  /** After a handshake that went well: who reads and seals from here on, and frees what it needs of the session. */
  inputOf(tls: TlsSession, fd: bigint, loop: Loop): TlsRecords | SessionInput {
    const [client, server] = [this.#clientSecret, this.#serverSecret];
    this.#clientSecret = this.#serverSecret = null;
    if (client === null || server === null || tls.version !== 'TLSv1.3') {
      tls.settle();
      return new SessionInput(tls, loop);
    }
    const { role } = this.context;
    const [own, peer] = role === 'client' ? [client, server] : [server, client];
    try {
      return new TlsRecords(fd, role, { suite: tls.cipher, own, peer }, loop);
    } finally {
      tls.free();
    }
  }

  /** After a failed handshake: what to tell people. */
  explain(tls: TlsSession): string {
    if (tls.failureCode === reasons.peerDidNotReturnCertificate) this.refusal = 'no-certificate';
    return this.#reason === '' ? tls.failure : `${tls.failure}: ${this.#reason}`;
  }

  /** After a handshake that went well. */
  describe(tls: TlsSession, before: ConnectionInfo): ConnectionInfo {
    // Let in though its chain did not verify: counted as that, and without a name.
    if (this.refusal !== 'verify') this.refusal = 'none';
    const local = { ip: before.localIp, port: before.localPort };
    const remote = { ip: before.remoteIp, port: before.remotePort };
    const isServer = this.context.role === 'server';
    const facts = {
      version: tls.version,
      cipher: tls.cipher,
      sni: isServer ? tls.serverName : this.#sni,
      alpn: tls.alpn,
      localPrincipal: this.#context?.localPrincipal ?? '',
      peer: this.#peer,
      intermediates: this.#intermediates,
    };
    const { directRemoteIp, directRemotePort } = before;
    const direct = directRemoteIp === undefined ? null : { ip: directRemoteIp, port: directRemotePort ?? 0 };
    return new Connection(remote, local, facts, '', '', direct);
  }
}
