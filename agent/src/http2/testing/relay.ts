/**
 * A bare relay on the worker's loop, to measure the codec with sockets and nothing else: every stream of every client
 * goes to one upstream over up to eight connections. `node relay.ts LISTEN_PORT UPSTREAM_PORT`. Prints its CPU seconds
 * and requests on SIGUSR2, ends on SIGTERM.
 */
import process from 'node:process';
import { plainInfo } from '../../http/testing/fake-stream.ts';
import type { Head } from '../../http1/head.ts';
import { AcceptSocket } from '../../net/accept-socket.ts';
import { Loop } from '../../net/loop.ts';
import { SocketStream } from '../../net/socket-stream.ts';
import type { StreamHandler } from '../../net/stream.ts';
import { sockaddrOf } from '../../sys/sockaddr.ts';
import { connectTcp } from '../../sys/tcp.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../connection.ts';
import { privateCounters } from '../counters.ts';
import { Http2Host } from '../host.ts';
import { defaultHttp2Options } from '../options.ts';
import type { Http2Stream, Http2StreamEvents } from '../stream.ts';

const [listenPort = 0, upstreamPort = 0] = process.argv.slice(2).map(Number);
const highWater = 65_536;
const loop = new Loop();
const host = new Http2Host({
  readBuffer: loop.region.buffer,
  clock: loop,
  timers: loop,
  random: Math.random,
  defer: (work) => loop.defer(work),
});
const counters = privateCounters();
const options = { ...defaultHttp2Options, settingsTimeoutMs: 0 };
const silent: StreamHandler = { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} };
let requests = 0;

/** One leg of an exchange; `other` is the other. */
class Leg implements Http2StreamEvents {
  stream: Http2Stream | null = null;
  other: Leg | null = null;

  onHead(stream: Http2Stream, head: Head, last: boolean): void {
    this.other?.stream?.sendHead(head, last);
    if (last) this.#ended(stream);
  }

  onData(stream: Http2Stream, start: number, end: number, last: boolean): void {
    const to = this.other?.stream;
    to?.sendData(host.readBuffer, start, end, last);
    if (to !== null && to !== undefined && to.queued > highWater) stream.pauseRead();
    if (last) this.#ended(stream);
  }

  onTrailers(stream: Http2Stream, head: Head): void {
    this.other?.stream?.sendTrailers(head);
    this.#ended(stream);
  }

  #ended(stream: Http2Stream): void {
    if (stream.localClosed) this.stream = null;
  }

  onReset(_stream: Http2Stream, code: number): void {
    this.stream = null;
    const to = this.other?.stream;
    if (to !== null && to !== undefined && to.id !== 0) to.reset(code);
    if (this.other !== null) this.other.stream = null;
  }

  onDrained(): void {
    this.other?.stream?.resumeRead();
  }
}

const upstreams: Http2Connection[] = [];

function dial(): Http2Connection {
  const fd = connectTcp(sockaddrOf('127.0.0.1', upstreamPort), null, null);
  const stream = new SocketStream(loop, fd, silent, plainInfo, null, true);
  const connection = new Http2Connection(host, stream, 'client', options, counters, {
    ...quiet,
    onClosed(closed) {
      upstreams.splice(upstreams.indexOf(closed), 1);
    },
  });
  connection.start();
  stream.start(false, false);
  upstreams.push(connection);
  return connection;
}

function pick(): Http2Connection {
  for (const connection of upstreams) if (connection.capacity > 0) return connection;
  return dial();
}

const quiet: Http2ConnectionEvents = {
  onConnected() {},
  onStream() {},
  onCapacity() {},
  onGoaway() {},
  onClosed() {},
};

const served: Http2ConnectionEvents = {
  ...quiet,
  onStream(stream, head, last) {
    requests++;
    const down = new Leg();
    const up = new Leg();
    down.other = up;
    up.other = down;
    down.stream = stream;
    stream.events = down;
    up.stream = pick().open(head, last, up);
    if (up.stream === null) stream.reset(7);
  },
};

new AcceptSocket(loop, { ip: '127.0.0.1', port: listenPort }, 1024, {
  acceptsPerTurn: 0,
  onTurn() {},
  onAccepted(fd) {
    const stream = new SocketStream(loop, fd, silent, plainInfo, null, false);
    new Http2Connection(host, stream, 'server', options, counters, served).start();
    stream.start(false, false);
  },
  onExhausted(reason) {
    console.error(reason);
  },
});

let ended = false;
process.on('SIGTERM', () => {
  ended = true;
});
process.on('SIGUSR2', () => console.log(JSON.stringify({ ...process.cpuUsage(), requests })));
function turns(): void {
  for (const until = performance.now() + 100; performance.now() < until; ) loop.run(20);
  if (ended) process.exit(0);
  setImmediate(turns);
}
turns();
