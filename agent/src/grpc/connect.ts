/**
 * A connection to a gRPC server, made by Node on the main thread: TCP, TLS and the agreement on HTTP/2. Invariant: no
 * byte of ours goes to a server that the endpoint's check has not let pass.
 */
import net, { type Socket } from 'node:net';
import type { ClientTls } from '@chainmail/xds/rpc';
import { RpcFailure, rpcStatus } from '@chainmail/xds/rpc-status';

export interface GrpcEndpoint {
  /** host:port; an IPv6 address in brackets. */
  readonly address: string;
  /** For SNI and :authority only. */
  readonly serverName: string;
  /** Made anew for each connection, so that it presents the certificate of now; may throw. null is plaintext. */
  readonly tls: (() => ClientTls) | null;
  /** Source address of the connection. */
  readonly localAddress?: string;
}

const unavailable = (text: string): RpcFailure => new RpcFailure(rpcStatus.UNAVAILABLE, text);

export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(address.slice(at + 1)) };
}

/** Starts a connection; `done` is told once: of the open socket, or why there is none. Returns what gives it up. */
export function connect(
  endpoint: GrpcEndpoint,
  timeoutMs: number,
  done: (result: Socket | RpcFailure) => void,
): () => void {
  let socket: Socket | null = null;
  let isOver = false;
  const finish = (result: Socket | RpcFailure): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    socket?.removeAllListeners('error');
    // From here on somebody else listens; an error in between is told by 'close' as well.
    socket?.on('error', () => undefined);
    if (result instanceof RpcFailure) socket?.destroy();
    done(result);
  };
  const timer = setTimeout(() => finish(unavailable(`no connection within ${timeoutMs} ms`)), timeoutMs);
  start(endpoint, finish).then(
    (made) => {
      if (isOver) made.destroy();
      else socket = made;
    },
    (error: unknown) => finish(unavailable(error instanceof Error ? error.message : String(error))),
  );
  return () => finish(unavailable('given up'));
}

async function start(endpoint: GrpcEndpoint, done: (result: Socket | RpcFailure) => void): Promise<Socket> {
  const { address, serverName: servername, tls, localAddress } = endpoint;
  const source = localAddress === undefined ? {} : { localAddress };
  const options = { ...splitAddress(address), ...source, noDelay: true };
  const failed = (error: Error): void => done(unavailable(error.message));
  if (tls === null) {
    const socket = net.connect(options);
    socket.once('error', failed).once('connect', () => done(socket));
    return socket;
  }
  const { context, checkServerIdentity } = tls();
  const { default: nodeTls } = await import('node:tls');
  const secure = { ...context, checkServerIdentity, rejectUnauthorized: true, servername, ALPNProtocols: ['h2'] };
  const socket = nodeTls.connect({ ...options, ...secure });
  socket.once('error', failed).once('secureConnect', () => {
    if (socket.alpnProtocol === 'h2') done(socket);
    else done(unavailable('the server does not speak HTTP/2'));
  });
  socket.once('close', () => done(unavailable('the connection was closed in the handshake')));
  return socket;
}
