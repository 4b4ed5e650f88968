/**
 * One port for HTTPS and, in the clear, for health: before the first certificate there is nothing to shake hands
 * with, and the process must be able to say so. The first byte tells: 0x16 opens a TLS record (RFC 8446, 5.1).
 * Invariant: without a valid certificate no handshake succeeds; a new one serves the very next handshake.
 */
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import net from 'node:net';

export interface ServingCertificate {
  readonly keyPem: string;
  readonly chainPem: string;
}

const tlsRecord = 0x16;
const maxConnections = 1000;
/** For the first byte, for the handshake, and for a whole request; the API server waits 30 s at most. */
const defaultPatienceMs = 10_000;

export class SecureServer {
  readonly #plain: http.Server;
  readonly #secure: https.Server;
  readonly #front: net.Server;
  readonly #open = new Set<net.Socket>();
  readonly #patienceMs: number;
  #hasCertificate = false;

  constructor(listener: RequestListener, patienceMs: number = defaultPatienceMs) {
    this.#patienceMs = patienceMs;
    const limits = {
      requestTimeout: patienceMs,
      headersTimeout: patienceMs,
      connectionsCheckingInterval: patienceMs / 2,
    };
    this.#plain = http.createServer(limits, listener);
    this.#secure = https.createServer({ ...limits, minVersion: 'TLSv1.2', handshakeTimeout: patienceMs }, listener);
    this.#secure.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#front = net.createServer({ pauseOnConnect: false }, (socket) => this.#sort(socket));
    this.#front.maxConnections = maxConnections;
  }

  /** Serves this certificate from the next handshake on; undefined refuses all handshakes. */
  setCertificate(certificate: ServingCertificate | undefined): void {
    this.#hasCertificate = certificate !== undefined;
    if (certificate === undefined) return;
    this.#secure.setSecureContext({ key: certificate.keyPem, cert: certificate.chainPem, minVersion: 'TLSv1.2' });
  }

  /** Resolves with the port that was bound. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#front.once('error', reject);
      this.#front.listen(port, host, () => {
        // Neither listens itself, and only this event starts their watch over slow requests.
        for (const server of [this.#plain, this.#secure]) server.emit('listening');
        const address = this.#front.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Takes no more connections; what is under way may end within graceMs. */
  async close(graceMs = 0): Promise<void> {
    const closed = new Promise((resolve) => this.#front.close(resolve));
    for (const server of [this.#plain, this.#secure]) server.close(() => {}); // reports that it did not listen
    for (const server of [this.#plain, this.#secure]) server.closeIdleConnections();
    const cut = setTimeout(() => this.#cut(), graceMs);
    await closed;
    clearTimeout(cut);
  }

  #cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #sort(socket: net.Socket): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(this.#patienceMs, () => socket.destroy());
    socket.once('data', (first: Buffer) => {
      socket.pause();
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      this.#route(socket, first);
    });
  }

  #route(socket: net.Socket, first: Buffer): void {
    const isTls = first[0] === tlsRecord;
    if (isTls && !this.#hasCertificate) {
      socket.destroy();
      return;
    }
    socket.unshift(first);
    (isTls ? this.#secure : this.#plain).emit('connection', socket);
    process.nextTick(() => socket.resume());
  }
}
