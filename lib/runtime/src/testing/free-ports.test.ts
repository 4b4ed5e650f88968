import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import test from 'ava';
import { freePort, freePorts } from './free-ports.ts';

test('ports differ, are free, and are none that a connection would take', async (t) => {
  const ports = await freePorts(50);
  t.is(new Set(ports).size, 50);
  const [lowest = 0] = fs
    .readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  t.true(ports.every((port) => port < lowest));
});

test('a taken port is passed over, on whatever address it is taken', async (t) => {
  const port = await freePort();
  const server = net.createServer().listen(port + 1, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  t.false((await freePorts(20)).includes(port + 1));
});
