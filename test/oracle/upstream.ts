/** The server behind a proxy under test: records each request byte by byte and answers as its case says. */
import { once } from 'node:events';
import net from 'node:net';
import { type Answer, type Case, caseHeader, plain } from './case.ts';
import { Http2Upstream } from './http2.ts';
import { type Message, takeRequest } from './message.ts';

/** Told by the upstream alone, so that what a proxy adds is seen behind it. */
const unknown = 'without a case';

const lineEnds = (text: string): string => text.replaceAll(/\r?\n/g, '\r\n');

/** Hosts of groups that have several. */
const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];

export class Upstream {
  readonly #cases: ReadonlyMap<string, Case>;
  readonly #seen = new Map<string, Message[]>();
  readonly #servers: readonly net.Server[];
  readonly #sockets = new Set<net.Socket>();
  readonly #http2: Http2Upstream;

  constructor(cases: readonly (readonly [key: string, test: Case])[]) {
    this.#cases = new Map(cases);
    this.#http2 = new Http2Upstream(this.#cases, this.#seen);
    this.#servers = addresses.map(() => net.createServer((socket) => this.#serve(socket)));
  }

  /** On one port of every address. */
  async listen(): Promise<number> {
    let port = 0;
    for (const [i, server] of this.#servers.entries()) {
      // All cases come at once: a full queue of connections would look like an upstream that is away.
      server.listen({ port, host: addresses[i], backlog: 4096 });
      await once(server, 'listening');
      port = (server.address() as net.AddressInfo).port;
    }
    return port;
  }

  /** Of groups whose upstream speaks HTTP/2. */
  async listenHttp2(): Promise<number> {
    const { server } = this.#http2;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as net.AddressInfo).port;
  }

  close(): void {
    this.#http2.close();
    for (const s of this.#sockets) s.destroy();
    for (const server of this.#servers) server.close();
  }

  /** The requests of a case, in the order in which they came. */
  seen(key: string): readonly Message[] {
    return this.#seen.get(key) ?? [];
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    let buffer: Buffer = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      for (let taken = takeRequest(buffer); taken !== null; taken = takeRequest(buffer)) {
        buffer = buffer.subarray(taken.size);
        this.#answer(socket, taken.message);
      }
    });
  }

  #answer(socket: net.Socket, message: Message): void {
    const key = message.headers.find(([n]) => n.toLowerCase() === caseHeader)?.[1] ?? unknown;
    const before = this.#seen.get(key) ?? [];
    this.#seen.set(key, [...before, message]);
    const answers = this.#cases.get(key)?.answers ?? [plain];
    const answer: Answer = answers[before.length] ?? answers.at(-1) ?? plain;
    if (typeof answer === 'string') {
      socket.write(Buffer.from(lineEnds(answer), 'latin1'));
      return;
    }
    if (answer.first !== undefined) socket.write(Buffer.from(lineEnds(answer.first), 'latin1'));
    if (answer.ending === 'fin') socket.end();
    else if (answer.ending === 'reset') socket.resetAndDestroy();
  }
}
