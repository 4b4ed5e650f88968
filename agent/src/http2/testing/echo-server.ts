/**
 * A server on the main thread that answers every request with its own body, or with a few bytes: the other end of the
 * tests against other implementations. By itself, for h2spec and the like: `node echo-server.ts [PORT]`.
 */
import net from 'node:net';
import process from 'node:process';
import { Head } from '../../http1/head.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../connection.ts';
import { privateCounters } from '../counters.ts';
import { defaultHttp2Options, type Http2Options } from '../options.ts';
import type { Http2Stream, Http2StreamEvents } from '../stream.ts';
import { NodeStream, nodeHost } from './node-stream.ts';

const hello = Buffer.from('hello');

function responseHead(): Head {
  const head = new Head();
  head.status = 200;
  head.add('content-type', 'text/plain');
  return head;
}

/** Sends back what it gets; reads on only while the peer takes it. */
class Echo implements Http2StreamEvents {
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  onHead(): void {}

  onData(stream: Http2Stream, start: number, end: number, last: boolean): void {
    stream.sendData(this.#buffer, start, end, last);
    if (stream.queued > 16_384) stream.pauseRead();
  }

  onTrailers(stream: Http2Stream, head: Head): void {
    stream.sendTrailers(head);
  }

  onReset(): void {}

  onDrained(stream: Http2Stream): void {
    stream.resumeRead();
  }
}

export class EchoServer implements Http2ConnectionEvents {
  readonly host = nodeHost();
  readonly counters = privateCounters();
  readonly connections = new Set<Http2Connection>();
  /** Why connections were closed. */
  readonly ends: string[] = [];
  readonly #options: Http2Options;
  readonly #server: net.Server;
  readonly #echo = new Echo(this.host.readBuffer);

  constructor(options: Partial<Http2Options> = {}) {
    this.#options = { ...defaultHttp2Options, ...options };
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      const connection: Http2Connection = new Http2Connection(
        this.host,
        new NodeStream(this.host, socket, { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} }),
        'server',
        this.#options,
        this.counters,
        this,
      );
      this.connections.add(connection);
      connection.start();
    });
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return (this.#server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.close(0, 'the test is over');
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  onConnected(): void {}

  onStream(stream: Http2Stream, _head: Head, last: boolean): void {
    stream.events = this.#echo;
    stream.sendHead(responseHead(), false);
    if (last) stream.sendData(hello, 0, hello.length, true);
  }

  onCapacity(): void {}

  onGoaway(): void {}

  onClosed(connection: Http2Connection, reason: string, code: number, detail: string): void {
    this.connections.delete(connection);
    this.ends.push(`${reason} ${code} ${detail}`.trim());
  }
}

if (process.argv[1] === import.meta.filename) {
  const server = new EchoServer();
  const port = await server.listen(Number(process.argv[2] ?? 0));
  console.log(`HTTP/2 with prior knowledge on 127.0.0.1:${port}`);
}
