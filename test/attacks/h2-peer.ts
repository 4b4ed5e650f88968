/** The other end of HTTP/2 as bytes: a client, or a server with any certificate, and what it was sent. */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import type { Material } from './certificates.ts';
import { type Frame, preface, settings, statusOf, takeFrames, types } from './h2-frames.ts';

/** For what must come. */
const patienceMs = 20_000;
const headerTableSize = 1;

export class RawPeer {
  readonly frames: Frame[] = [];
  isClosed = false;
  onFrame: (frame: Frame) => void = () => undefined;
  readonly #socket: net.Socket;
  #rest: Buffer;
  #look: () => void = () => undefined;

  /** skip: bytes in front of the first frame, which are a client's preface. */
  constructor(socket: net.Socket, skip = 0) {
    this.#socket = socket;
    this.#rest = Buffer.alloc(0);
    let toSkip = skip;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const bytes = chunk.subarray(Math.min(toSkip, chunk.length));
      toSkip -= chunk.length - bytes.length;
      const { frames, rest } = takeFrames(Buffer.concat([this.#rest, bytes]));
      this.#rest = rest;
      this.frames.push(...frames);
      for (const f of frames) this.onFrame(f);
      this.#look();
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#look();
    });
  }

  /** Connects as a client over mutual TLS and says the preface. */
  static async connect(port: number, own: Material): Promise<RawPeer> {
    const socket = tls.connect({
      ...{ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false },
      ...{ cert: own.chainPem, key: own.keyPem },
    });
    await once(socket, 'secureConnect');
    const peer = new RawPeer(socket);
    peer.write(preface, settings());
    return peer;
  }

  /** Connects as a client without TLS and says the preface; answers come without a compression table: see statusOf. */
  static async connectPlain(port: number): Promise<RawPeer> {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const peer = new RawPeer(socket);
    peer.write(preface, settings([headerTableSize, 0]));
    return peer;
  }

  write(...frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves when the condition holds, looked at whenever something came. @throws Error with what came instead */
  async until(what: string, condition: () => boolean): Promise<void> {
    const end = AbortSignal.timeout(patienceMs);
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        this.#look = resolve;
        end.onabort = () => reject(new Error(`${what}; came: ${this.told}`));
      });
    }
  }

  /** Code of the RST_STREAM of a stream; undefined: there was none. */
  resetOf(stream: number): number | undefined {
    return this.frames.find((f) => f.type === types.reset && f.stream === stream)?.payload.readUInt32BE(0);
  }

  /** What a stream was answered; undefined: nothing yet. */
  statusOf(stream: number): number | undefined {
    const head = this.frames.find((f) => f.type === types.headers && f.stream === stream);
    return head === undefined ? undefined : statusOf(head.payload);
  }

  get goaway(): number | undefined {
    return this.frames.find((f) => f.type === types.goaway)?.payload.readUInt32BE(4);
  }

  hasEnded(stream: number): boolean {
    return this.frames.some((f) => f.stream === stream && f.type <= types.headers && (f.flags & 1) !== 0);
  }

  get told(): string {
    const shown = this.frames.map(
      (f) => `${f.type}/${f.flags} on ${f.stream} ${f.payload.toString('hex').slice(0, 24)}`,
    );
    return [...shown, ...(this.isClosed ? ['closed'] : [])].join(', ');
  }
}

export interface RawServer {
  readonly port: number;
  readonly peers: readonly RawPeer[];
  close(): void;
}

/** A server of HTTP/2 that sends its SETTINGS and leaves the rest to `serve`. */
export async function rawServer(own: Material, root: string, serve: (peer: RawPeer) => void): Promise<RawServer> {
  const peers: RawPeer[] = [];
  const options = { cert: own.chainPem, key: own.keyPem, ca: root, requestCert: true, ALPNProtocols: ['h2'] };
  const server = tls.createServer(options, (socket) => {
    const peer = new RawPeer(socket, preface.length);
    peers.push(peer);
    peer.write(settings());
    serve(peer);
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    close: () => {
      for (const peer of peers) peer.close();
      server.close();
    },
  };
}
