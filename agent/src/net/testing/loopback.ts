/** Streams over the loopback, for tests of what happens on sockets. */
import { acceptedFrom, acceptTcp, listenTcp, localAddress } from '../../sys/tcp.ts';
import { Connection } from '../connection.ts';
import type { Loop } from '../loop.ts';
import { SocketStream } from '../socket-stream.ts';
import type { StreamHandler } from '../stream.ts';

/** A listener whose connections all have this handler. */
export function serve(loop: Loop, handler: StreamHandler): { port: number; streams: SocketStream[]; stop: () => void } {
  const fd = listenTcp('127.0.0.1', 0, 16);
  const { port } = localAddress(BigInt(fd));
  const streams: SocketStream[] = [];
  loop.add(
    fd,
    {
      onEvents() {
        const accepted = acceptTcp(BigInt(fd));
        const remote = acceptedFrom();
        const info = new Connection(remote, { ip: '127.0.0.1', port }, null, '', '');
        const stream = new SocketStream(loop, accepted, handler, info, null, false);
        stream.start(false, false);
        streams.push(stream);
      },
    },
    1,
  );
  return { port, streams, stop: () => loop.remove(fd) };
}

/** Turns the loop between turns of Node's own, until done. */
export async function turnUntil(loop: Loop, done: () => boolean): Promise<void> {
  for (let i = 0; i < 200_000 && !done(); i++) {
    loop.run(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!done()) throw new Error('did not happen');
}
