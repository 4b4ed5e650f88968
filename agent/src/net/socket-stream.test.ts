import { randomBytes } from 'node:crypto';
import net from 'node:net';
import test from 'ava';
import { tcpState, tcpStates } from '../sys/tcp.ts';
import { Loop } from './loop.ts';
import type { SocketStream } from './socket-stream.ts';
import {
  type CloseReason,
  type Delivery,
  readCapacity,
  readEof,
  readHeadroom,
  type Stream,
  type StreamHandler,
} from './stream.ts';
import { serve, turnUntil } from './testing/loopback.ts';

/** Echoes what comes; stops reading while the peer does not take it. */
class Echo implements StreamHandler {
  closed: CloseReason | null = null;
  readonly #loop: Loop;
  constructor(loop: Loop) {
    this.#loop = loop;
  }
  onReadable(stream: Stream): void {
    for (;;) {
      const n = stream.read(readHeadroom, readCapacity);
      if (n === readEof) stream.endWrite();
      if (n <= 0) return;
      stream.write(this.#loop.region.buffer, readHeadroom, readHeadroom + n);
      if (stream.queued > 0) stream.pauseRead();
      if (!stream.more(n, readCapacity)) return;
    }
  }
  onDrained(stream: Stream): void {
    stream.resumeRead();
  }
  onConnected(): void {}
  onClosed(_stream: Stream, reason: CloseReason): void {
    this.closed = reason;
  }
}

test('8 MB go both ways through an echo, with half-close', async (t) => {
  const loop = new Loop();
  const { port } = serve(loop, new Echo(loop));
  const data = randomBytes(8 << 20);
  const back: Buffer[] = [];
  let ended = false;
  const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('data', (d: Buffer) => back.push(d)).on('end', () => (ended = true));
  client.end(data);
  await turnUntil(loop, () => ended);
  t.true(Buffer.concat(back).equals(data));
});

test('RST is told as such', async (t) => {
  const loop = new Loop();
  const echo = new Echo(loop);
  const { port, streams } = serve(loop, echo);
  const client = net.connect({ port, host: '127.0.0.1' });
  client.on('error', () => {});
  await turnUntil(loop, () => streams.length === 1);
  client.resetAndDestroy();
  await turnUntil(loop, () => echo.closed !== null);
  t.is(echo.closed, 'remote-reset');
  t.true(streams[0]?.dead);
});

/** Reads a byte, says its last words and goes. */
class Leaving implements StreamHandler {
  onReadable(stream: Stream): void {
    if (stream.read(readHeadroom, 1) !== 1) return;
    stream.expectEnd();
    const words = Buffer.from('last words');
    stream.write(words, 0, words.length);
    stream.closeAfterFlush(0);
  }
  onDrained(): void {}
  onConnected(): void {}
  onClosed(): void {}
}

for (const sends of ['x', 'x and more that nobody reads']) {
  test(`what is held back for the end goes out before it, to a client that sent "${sends}"`, async (t) => {
    const loop = new Loop();
    const { port } = serve(loop, new Leaving());
    let text = '';
    let closed = false;
    const client = net.connect({ port, host: '127.0.0.1' });
    client.on('error', () => {}).on('close', () => (closed = true));
    client.on('data', (d: Buffer) => (text += d.toString()));
    client.write(sends);
    await turnUntil(loop, () => closed);
    t.is(text, 'last words');
  });
}

/** Answers the first bytes; then tells whether what it wrote last arrived, when reading ends. */
class Asking implements StreamHandler {
  stream: Stream | null = null;
  delivered: Delivery | null = null;
  sentBefore = 0;
  onReadable(stream: Stream): void {
    this.stream = stream;
    for (;;) {
      const n = stream.read(readHeadroom, readCapacity);
      if (n === readEof) this.delivered = stream.delivered(stream.bytesSent - this.sentBefore);
      if (n <= 0) return;
    }
  }
  send(text: string): void {
    const bytes = Buffer.from(text);
    this.sentBefore = this.stream?.bytesSent ?? 0;
    this.stream?.write(bytes, 0, bytes.length);
  }
  onDrained(): void {}
  onConnected(): void {}
  onClosed(stream: Stream): void {
    this.delivered = stream.delivered(stream.bytesSent - this.sentBefore);
  }
}

/** A busy machine takes its time with packets, also those to itself. The loop hears nothing meanwhile. */
async function reaches(stream: SocketStream | undefined, state: number): Promise<void> {
  for (let i = 0; i < 200_000; i++) {
    if (stream !== undefined && tcpState(stream.handle) === state) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`the connection did not get to state ${state}`);
}

/** A peer that has had an answer, on a connection that lies idle. */
async function idlePeer(allowHalfOpen: boolean) {
  const loop = new Loop();
  const asking = new Asking();
  const { port, streams } = serve(loop, asking);
  const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen });
  let got = '';
  peer.on('error', () => {}).on('data', (d: Buffer) => (got += d.toString()));
  peer.write('?');
  await turnUntil(loop, () => asking.stream !== null);
  asking.send('answer');
  await turnUntil(loop, () => got === 'answer');
  return { loop, asking, peer, got: () => got, reaches: (state: number) => reaches(streams[0], state) };
}

const told = ({ loop, asking }: { loop: Loop; asking: Asking }) => turnUntil(loop, () => asking.delivered !== null);

test('what is sent to a socket that its program has closed never arrived', async (t) => {
  const idle = await idlePeer(false);
  idle.peer.destroy();
  await idle.reaches(tcpStates.closeWait);
  idle.asking.send('too late');
  await idle.reaches(tcpStates.closed);
  await told(idle);
  t.is(idle.asking.delivered, 'none');
});

test('nothing arrived where the connection was aborted before it was written to', async (t) => {
  const idle = await idlePeer(false);
  idle.peer.resetAndDestroy();
  await idle.reaches(tcpStates.closed);
  idle.asking.send('too late');
  await told(idle);
  t.is(idle.asking.delivered, 'none');
});

test('what may have been read is not said never to have arrived', async (t) => {
  const reader = await idlePeer(false);
  reader.asking.send('request');
  await turnUntil(reader.loop, () => reader.got() === 'answerrequest');
  reader.peer.destroy();
  await told(reader);
  t.is(reader.asking.delivered, 'unknown', 'read, then closed');

  const aborter = await idlePeer(false);
  aborter.asking.send('request');
  await turnUntil(aborter.loop, () => aborter.got() === 'answerrequest');
  aborter.peer.resetAndDestroy();
  await told(aborter);
  t.is(aborter.asking.delivered, 'unknown', 'read, then aborted');

  const half = await idlePeer(true);
  half.peer.end();
  await half.reaches(tcpStates.closeWait);
  half.asking.send('request');
  await told(half);
  t.not(half.asking.delivered, 'none', 'half-closed, and still reading');
  await turnUntil(half.loop, () => half.got() === 'answerrequest');
  half.peer.destroy();
});
