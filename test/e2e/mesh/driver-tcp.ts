/** One TCP connection from beginning to end. */
import net from 'node:net';
import type { TcpAnswer, TcpCall } from './driver-api.ts';
import { fill } from './pattern.ts';

async function say(socket: net.Socket, call: TcpCall): Promise<void> {
  if (call.send !== undefined) socket.write(call.send);
  for (let at = 0, all = call.bytes ?? 0; at < all && !socket.destroyed; ) {
    const chunk = fill(at, Math.min(65_536, all - at));
    at += chunk.length;
    if (!socket.write(chunk)) await new Promise((go) => socket.once('drain', go).once('close', go));
  }
  if (call.end ?? true) socket.end();
}

export function tcpCall(call: TcpCall): Promise<TcpAnswer> {
  return new Promise((done) => {
    const state = { connected: false, received: '', said: false };
    const socket = net.connect({ host: call.host, port: call.port, allowHalfOpen: true });
    const finish = (outcome: TcpAnswer['outcome'], error = ''): void => {
      socket.destroy();
      done({ connected: state.connected, received: state.received, outcome, error });
    };
    socket.setTimeout(call.timeoutMs ?? 10_000, () => finish('timeout'));
    const speak = (): void => {
      if (!state.said) void say(socket, call);
      state.said = true;
    };
    socket.on('connect', () => {
      state.connected = true;
      if (call.serverFirst !== true) speak();
    });
    socket.on('data', (chunk: Buffer) => {
      state.received += chunk.toString('latin1');
      speak();
    });
    socket.on('end', () => finish('end'));
    socket.on('error', (e: NodeJS.ErrnoException) => finish('error', e.code ?? e.message));
  });
}
