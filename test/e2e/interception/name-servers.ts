/** Run inside a network namespace: servers that answer each connection with their own name and the caller's address. */
import { once } from 'node:events';
import net from 'node:net';

interface NamedServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

const servers = JSON.parse(process.argv[2] ?? '[]') as readonly NamedServer[];
for (const { name, host, port } of servers) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // a caller that went away
    socket.end(`${name} ${socket.remoteAddress}`);
  });
  server.listen({ host, port, ipv6Only: true });
  await once(server, 'listening');
}
process.stdout.write('ready\n');
