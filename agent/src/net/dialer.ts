/** Opens connections to upstream hosts. Invariant: never throws and never calls back inside dial(): failures come later. */
import * as libc from '../sys/libc.ts';
import { type Sockaddr, sockaddrOf } from '../sys/sockaddr.ts';
import { connectTcp, localAddress } from '../sys/tcp.ts';
import type { DialOptions } from '../worker/runtime.ts';
import { Connection } from './connection.ts';
import type { Loop } from './loop.ts';
import { type ProxyVersion, writeProxyHeader } from './proxy-protocol.ts';
import { SocketStream, type StreamOwner } from './socket-stream.ts';
import type { CloseReason, Stream, StreamHandler } from './stream.ts';
import type { TlsContexts } from './tls-contexts.ts';
import { TlsEnd } from './tls-end.ts';

/** Addresses in the kernel's form; hosts are few and dialled often. */
const maxAddresses = 4096;

/** Gives each dialled stream whoever counts it. */
export type OwnerOf = (options: DialOptions) => StreamOwner;

export class Dialer {
  readonly #loop: Loop;
  readonly #contexts: TlsContexts;
  readonly #ownerOf: OwnerOf;
  readonly #addresses = new Map<string, Sockaddr>();

  constructor(loop: Loop, contexts: TlsContexts, ownerOf: OwnerOf) {
    this.#loop = loop;
    this.#contexts = contexts;
    this.#ownerOf = ownerOf;
  }

  /** proxy: the version of the PROXY header that goes first; null without. */
  dial(options: DialOptions, proxy: ProxyVersion | null, handler: StreamHandler): Stream {
    const { address, tls } = options;
    const { fd, problem } = this.#connect(options);
    const end =
      tls === null ? null : new TlsEnd(this.#contexts.slot('client', tls.key, tls), options.sni, options.alpn);
    const local = fd >= 0 ? localAddress(BigInt(fd)) : noAddress;
    const info = new Connection(address, local, null, options.sni, '');
    const stream = new SocketStream(this.#loop, fd, handler, info, end, true);
    stream.owner = this.#ownerOf(options);
    if (fd < 0) {
      stream.abort(reasonOf(-fd), problem);
      return stream;
    }
    if (proxy !== null) {
      const { downstream } = options;
      if (downstream === undefined) {
        // One connection for many clients could not tell whose it is; saying nothing would make it the agent's own.
        stream.abort('connect-failed', 'a PROXY header needs one client per connection, which tcp_proxy has');
        return stream;
      }
      stream.preface = writeProxyHeader(proxy, {
        remote: { ip: downstream.remoteIp, port: downstream.remotePort },
        local: { ip: downstream.localIp, port: downstream.localPort },
      });
    }
    stream.start(false, false);
    stream.limitOpening(options.connectTimeoutMs, 'connect-timeout');
    return stream;
  }

  /** A descriptor on its way, or the negated errno and what it means. */
  #connect({ address, bind, keepalive }: DialOptions): { readonly fd: number; readonly problem: string } {
    try {
      const from = bind === null ? null : this.#sockaddr(bind, 0);
      const fd = connectTcp(this.#sockaddr(address.ip, address.port), from, keepalive);
      return { fd, problem: fd < 0 ? libc.errnoText(-fd) : '' };
    } catch (error) {
      return { fd: -libc.errnos.EHOSTUNREACH, problem: error instanceof Error ? error.message : 'bad address' };
    }
  }

  #sockaddr(ip: string, port: number): Sockaddr {
    const key = `${ip} ${port}`;
    const known = this.#addresses.get(key);
    if (known !== undefined) return known;
    if (this.#addresses.size >= maxAddresses) this.#addresses.clear();
    const made = sockaddrOf(ip, port);
    this.#addresses.set(key, made);
    return made;
  }
}

const noAddress = { ip: '', port: 0 } as const;

function reasonOf(errno: number): CloseReason {
  return errno === libc.errnos.ECONNREFUSED ? 'connect-refused' : 'connect-failed';
}
