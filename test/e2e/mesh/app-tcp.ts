/** Two TCP services: one that speaks first, as databases do, and one that answers only when the client has ended. */
import { createHash } from 'node:crypto';
import net from 'node:net';
import os from 'node:os';

/** Greets before the client has said a word; then sends back what comes in capitals, and says goodbye after the FIN. */
function greet(socket: net.Socket): void {
  socket.on('error', () => socket.destroy());
  socket.write(`hello from ${os.hostname()}\n`);
  socket.on('data', (chunk: Buffer) => socket.write(chunk.toString('latin1').toUpperCase()));
  socket.on('end', () => socket.end('bye\n'));
}

/** Reads to the client's FIN, then tells how much came: works only when half-close passes in both directions. */
function sink(socket: net.Socket): void {
  const hash = createHash('sha256');
  let bytes = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  socket.on('end', () => socket.end(JSON.stringify({ bytes, sha256: hash.digest('hex') })));
}

export function startTcp(greeterPort: number, sinkPort: number): net.Server[] {
  const listen = (port: number, handler: (socket: net.Socket) => void): net.Server =>
    net.createServer({ allowHalfOpen: true }, handler).listen(port, '::');
  return [listen(greeterPort, greet), listen(sinkPort, sink)];
}
