/**
 * One TLS connection over a socket: an SSL handle with its reads, writes and facts. Only the handshake may run our
 * callbacks. Invariant: the handle is freed once, and every method after free() is refused by its caller (the stream).
 */
import { addressOf, copyBytes, pin, textAt } from './ffi.ts';
import * as ssl from './openssl.ts';
import { shutdownWrite } from './tcp.ts';
import { alpnWire, type HandshakeOwner, stepHandshake } from './tls-context.ts';

export type HandshakeStep = 'done' | 'want-read' | 'want-write' | 'failed';

/** Results of read and write below 1. */
export const tlsEof = 0;
export const tlsWantRead = -1;
export const tlsFailed = -2;
export const tlsWantWrite = -3;

const cipherNames = new Map<bigint, string>();
const protoOut = Buffer.alloc(16);
const protoAddress = pin(protoOut);
const keyOut = new BigUint64Array(1);
const keyOutAddress = pin(keyOut);

/**
 * A key that gets a type loses what it held, and whoever refers to it still frees it in the end. EVP_PKEY_HMAC, because a
 * key of that type without bytes answers what is asked of it; an EC key without a point would end the process.
 */
const bare = 855n;

function emptyKey(key: bigint): void {
  if (key === 0n || ssl.keySetType(key, bare) !== 1) ssl.errorClear(0n, 0n);
}

/**
 * Frees what only a handshake needs and OpenSSL holds as long as the connection: the key shares (an ML-KEM key has its
 * matrix with it, 6 KB) and the public key of the peer's certificate (3 KB of EC groups). To be called once it is done.
 */
export function forgetHandshake(handle: bigint): void {
  for (const which of [ssl.ctrl.tmpKey, ssl.ctrl.peerTmpKey]) {
    if (ssl.sslCtrl(handle, which, 0n, keyOutAddress) !== 1) continue;
    const key = keyOut[0] ?? 0n;
    emptyKey(key);
    ssl.keyFree(key, 0n); // the reference that SSL_ctrl gave us
  }
  const certificate = ssl.sslPeerCertificate(handle, 0n);
  if (certificate !== 0n) emptyKey(ssl.x509Key(certificate, 0n));
}

export class TlsSession {
  #ssl: bigint;
  /** Why it failed, in OpenSSL's words. */
  failure = '';
  failureCode = 0;

  /** @throws Error when there is no memory. `sni` is for clients; '' sends none. */
  constructor(owner: HandshakeOwner, fd: bigint, sni: string) {
    this.#ssl = ssl.sslNew(owner.context.handle, 0n);
    if (this.#ssl === 0n) throw new Error('no memory for a TLS connection');
    ssl.sslSetFd(this.#ssl, fd);
    if (owner.context.role === 'server') ssl.sslSetAccept(this.#ssl, 0n);
    else ssl.sslSetConnect(this.#ssl, 0n);
    if (sni === '') return;
    const name = Buffer.from(`${sni}\0`, 'latin1');
    ssl.sslCtrl(this.#ssl, ssl.ctrl.hostname, 0n, addressOf(name));
  }

  /** Clients: what is offered by ALPN in place of what the context says. */
  offer(protocols: readonly string[]): void {
    const wire = alpnWire(protocols);
    ssl.sslSetAlpnProtos(this.#ssl, addressOf(wire), BigInt(wire.length));
  }

  handshake(owner: HandshakeOwner): HandshakeStep {
    const result = stepHandshake(this.#ssl, owner);
    if (result === 1) return 'done';
    const error = ssl.errorOf(this.#ssl, result);
    if (error === ssl.sslErrors.wantRead) return 'want-read';
    if (error === ssl.sslErrors.wantWrite) return 'want-write';
    this.#note(error === ssl.sslErrors.syscall ? 'the peer closed the connection during the handshake' : '');
    return 'failed';
  }

  /** After the handshake of a session that goes on: it reads ahead from here on, and forgets what only that needed. */
  settle(): void {
    ssl.sslCtrl(this.#ssl, ssl.ctrl.readAhead, 1n, 0n);
    forgetHandshake(this.#ssl);
  }

  read(address: bigint, capacity: bigint): number {
    const n = ssl.sslRead(this.#ssl, address, capacity);
    return n > 0 ? n : this.#result(n);
  }

  write(address: bigint, length: bigint): number {
    const n = ssl.sslWrite(this.#ssl, address, length);
    return n > 0 ? n : this.#result(n);
  }

  #result(n: number): number {
    const error = ssl.errorOf(this.#ssl, n);
    if (error === ssl.sslErrors.wantRead) return tlsWantRead;
    if (error === ssl.sslErrors.wantWrite) return tlsWantWrite;
    if (error === ssl.sslErrors.zeroReturn) return tlsEof;
    this.#note('connection reset');
    return tlsFailed;
  }

  #note(otherwise: string): void {
    const { code, reason } = ssl.takeError();
    this.failureCode = code;
    this.failure = reason === '' ? otherwise : reason;
  }

  get hasPending(): boolean {
    return ssl.sslHasPending(this.#ssl, 0n) === 1;
  }

  /** close_notify, then FIN. False when the socket is full: try again when it is writable. */
  endWrite(fd: bigint): boolean {
    const n = ssl.sslShutdown(this.#ssl, 0n);
    if (n < 0) {
      const error = ssl.errorOf(this.#ssl, n);
      if (error === ssl.sslErrors.wantWrite) return false;
      ssl.errorClear(0n, 0n);
    }
    shutdownWrite(fd);
    return true;
  }

  /** close_notify as far as the socket takes it. */
  sayGoodbye(): void {
    ssl.sslShutdown(this.#ssl, 0n);
    ssl.errorClear(0n, 0n);
  }

  free(): void {
    if (this.#ssl !== 0n) ssl.sslFree(this.#ssl, 0n);
    this.#ssl = 0n;
  }

  get version(): 'TLSv1.2' | 'TLSv1.3' {
    return ssl.sslVersion(this.#ssl, 0n) === 0x0304 ? 'TLSv1.3' : 'TLSv1.2';
  }

  get cipher(): string {
    const cipher = ssl.sslCipher(this.#ssl, 0n);
    let name = cipherNames.get(cipher);
    if (name === undefined) {
      name = cipher === 0n ? '' : textAt(ssl.cipherName(cipher, 0n));
      cipherNames.set(cipher, name);
    }
    return name;
  }

  get alpn(): string {
    ssl.sslAlpn(this.#ssl, protoAddress, protoAddress + 8n);
    const address = protoOut.readBigUInt64LE(0);
    const length = protoOut.readUInt32LE(8);
    return length === 0 ? '' : copyBytes(address, length).toString('latin1');
  }

  /** The name the client sent; '' for none. */
  get serverName(): string {
    return textAt(ssl.sslServerName(this.#ssl, 0n));
  }
}
