/** The cluster's resolver over UDP and TCP; it knows the zone it is given and nothing else, and asks nobody. */
import { createSocket } from 'node:dgram';
import net from 'node:net';
import type { Answer, Question } from './dns-message.ts';
import { encodeResponse, parseQuestion } from './dns-message.ts';

export interface DnsServer {
  close(): void;
}

/** One TCP connection: messages with a length of two bytes in front (RFC 1035 4.2.2), answered in order. */
function serveStream(socket: net.Socket, resolve: (q: Question) => Answer): void {
  let pending = Buffer.alloc(0);
  socket.setTimeout(10_000, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0);
      const question = parseQuestion(pending.subarray(2, end));
      pending = pending.subarray(end);
      if (question === undefined) {
        socket.destroy();
        return;
      }
      const response = encodeResponse(question, resolve(question), false);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response]));
    }
  });
}

function listenUdp(address: string, port: number, resolve: (q: Question) => Answer): Promise<() => void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    const question = parseQuestion(message);
    if (question === undefined) return;
    socket.send(encodeResponse(question, resolve(question), true), from.port, from.address, () => {});
  });
  return new Promise((done, fail) => {
    socket.once('error', fail);
    socket.bind(port, address, () => {
      socket.removeListener('error', fail);
      socket.on('error', () => {});
      done(() => socket.close());
    });
  });
}

function listenTcp(address: string, port: number, resolve: (q: Question) => Answer): Promise<() => void> {
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    serveStream(socket, resolve);
  });
  server.maxConnections = 256;
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(port, address, () =>
      done(() => {
        server.close();
        for (const s of open) s.destroy();
      }),
    );
  });
}

/** Serves on every address; `resolve` is asked anew for each question, so it may look at changing state. */
export async function startDnsServer(
  addresses: readonly string[],
  port: number,
  resolve: (q: Question) => Answer,
): Promise<DnsServer> {
  const closers = await Promise.all(
    addresses.flatMap((a) => [listenUdp(a, port, resolve), listenTcp(a, port, resolve)]),
  );
  return {
    close() {
      for (const close of closers) close();
    },
  };
}
