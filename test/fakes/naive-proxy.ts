/**
 * A proxy as one writes it in half an hour: it compares the first request line and Host with a deny list and then pipes
 * bytes. The attacks of test/attacks run against it too: a probe that cannot harm it proves nothing about ours.
 */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls, { type TlsOptions } from 'node:tls';

export interface NaiveProxy {
  readonly port: number;
  close(): void;
}

export interface NaiveRules {
  readonly upstream: number;
  /** Refuses by the path as written. */
  readonly denyPath?: string;
  /** Refuses by the Host as written. */
  readonly denyHost?: string;
  /** Refuses when the first `x-role` says so. */
  readonly denyRole?: string;
  /** Speaks TLS; lets in whose printed subjectAltName holds the text. */
  readonly tls?: TlsOptions & { readonly allow: string };
}

function isDenied(head: string, rules: NaiveRules): boolean {
  const value = (name: string): string | undefined => new RegExp(`^${name}: *(.*?)\\r?$`, 'im').exec(head)?.[1];
  const [, path = ''] = head.split(' ');
  if (rules.denyPath !== undefined && path.startsWith(rules.denyPath)) return true;
  if (rules.denyHost !== undefined && value('host') === rules.denyHost) return true;
  return rules.denyRole !== undefined && value('x-role') === rules.denyRole;
}

function serve(client: net.Socket, rules: NaiveRules): void {
  client.on('error', () => client.destroy());
  client.once('data', (head: Buffer) => {
    if (isDenied(head.toString('latin1'), rules)) {
      client.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const upstream = net.connect(rules.upstream, '127.0.0.1');
    upstream.on('error', () => client.destroy());
    upstream.write(head);
    client.pipe(upstream).pipe(client);
  });
}

export async function startNaiveProxy(rules: NaiveRules): Promise<NaiveProxy> {
  const open = new Set<net.Socket>();
  const accept = (client: net.Socket): void => {
    open.add(client);
    const { tls: policy } = rules;
    const names = client instanceof tls.TLSSocket ? (client.getPeerCertificate().subjectaltname ?? '') : '';
    if (policy !== undefined && !names.includes(policy.allow)) client.destroy();
    else serve(client, rules);
  };
  const server =
    rules.tls === undefined ? net.createServer(accept) : tls.createServer({ ...rules.tls }, (socket) => accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
