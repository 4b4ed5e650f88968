/** TCP sockets: listening, accepting, connecting, and the options a proxy needs. File descriptors are plain numbers. */
import { addressOf } from './ffi.ts';
import * as libc from './libc.ts';
import {
  answer,
  answerAddress,
  answerLengthAddress,
  prepareAnswer,
  readAnswer,
  type Sockaddr,
  type SocketAddress,
  sockaddrOf,
} from './sockaddr.ts';

export type { SocketAddress };

const SOL_SOCKET = 1n;
const IPPROTO_TCP = 6n;
const SOL_IP = 0n;
const SOL_IPV6 = 41n;
const STREAM_NONBLOCK_CLOEXEC = 1n | 0x800n | 0x80000n;
const NONBLOCK_CLOEXEC = 0x800n | 0x80000n;

const option = new Int32Array(2);
const optionAddress = addressOf(option);

function setInt(fd: bigint, level: bigint, name: bigint, value: number): number {
  option[0] = value;
  return libc.setsockopt(fd, level, name, optionAddress, 4n);
}

export class SocketError extends Error {
  readonly errno: number;
  constructor(what: string, errno: number) {
    super(`${what}: ${libc.errnoText(errno)}`);
    this.errno = errno;
  }
}

function failed(what: string, fd: bigint | null): never {
  const code = libc.errno();
  if (fd !== null) libc.close(fd, 0n);
  throw new SocketError(what, code);
}

/**
 * A listening socket. SO_REUSEPORT lets every worker have its own; IPv6 sockets never take IPv4 (so that the level of
 * SO_ORIGINAL_DST is never in doubt); accepted sockets inherit TCP_NODELAY.
 * @throws SocketError
 */
export function listenTcp(ip: string, port: number, backlog: number): number {
  const to = sockaddrOf(ip, port);
  const fd = libc.socket(to.family === 4 ? 2n : 10n, STREAM_NONBLOCK_CLOEXEC, 0n);
  if (fd < 0) failed('socket', null);
  const handle = BigInt(fd);
  setInt(handle, SOL_SOCKET, 2n, 1); // SO_REUSEADDR
  setInt(handle, SOL_SOCKET, 15n, 1); // SO_REUSEPORT
  setInt(handle, IPPROTO_TCP, 1n, 1); // TCP_NODELAY
  if (to.family === 6) setInt(handle, SOL_IPV6, 26n, 1); // IPV6_V6ONLY
  if (libc.bind(handle, to.address, to.length) !== 0) failed(`bind ${ip}:${port}`, handle);
  if (libc.listen(handle, BigInt(backlog)) !== 0) failed(`listen ${ip}:${port}`, handle);
  return fd;
}

/** The next connection, non-blocking, or -1 (see errno). The peer's address is then in the answer area. */
export function acceptTcp(listener: bigint): number {
  prepareAnswer();
  return libc.accept4(listener, answerAddress, answerLengthAddress, NONBLOCK_CLOEXEC);
}

/** Address of the peer of the connection accepted last. */
export function acceptedFrom(): SocketAddress {
  return readAnswer();
}

export interface Keepalive {
  readonly probes: number;
  readonly timeS: number;
  readonly intervalS: number;
}

/**
 * A socket on its way to an address: the descriptor, or the negated errno. Bound to `from` first when given, without
 * taking a port before connect (IP_BIND_ADDRESS_NO_PORT).
 */
export function connectTcp(to: Sockaddr, from: Sockaddr | null, keepalive: Keepalive | null): number {
  const fd = libc.socket(to.family === 4 ? 2n : 10n, STREAM_NONBLOCK_CLOEXEC, 0n);
  if (fd < 0) return -libc.errno();
  const handle = BigInt(fd);
  setInt(handle, IPPROTO_TCP, 1n, 1);
  if (keepalive !== null) setKeepalive(handle, keepalive);
  if (from !== null) {
    setInt(handle, SOL_IP, 24n, 1); // IP_BIND_ADDRESS_NO_PORT, also for IPv6 sockets
    if (libc.bind(handle, from.address, from.length) !== 0) return closed(handle);
  }
  if (libc.connect(handle, to.address, to.length) === 0 || libc.errno() === libc.errnos.EINPROGRESS) return fd;
  return closed(handle);
}

function closed(handle: bigint): number {
  const code = libc.errno();
  libc.close(handle, 0n);
  return -code;
}

function setKeepalive(handle: bigint, k: Keepalive): void {
  setInt(handle, SOL_SOCKET, 9n, 1);
  if (k.timeS > 0) setInt(handle, IPPROTO_TCP, 4n, k.timeS);
  if (k.intervalS > 0) setInt(handle, IPPROTO_TCP, 5n, k.intervalS);
  if (k.probes > 0) setInt(handle, IPPROTO_TCP, 6n, k.probes);
}

/** SO_ERROR: 0 when a connect has succeeded. */
export function socketError(handle: bigint): number {
  option[0] = 0;
  option[1] = 4;
  if (libc.getsockopt(handle, SOL_SOCKET, 4n, optionAddress, optionAddress + 4n) !== 0) return libc.errno();
  return option[0] ?? 0;
}

const TCP_INFO = 11n;
const SIOCOUTQ = 0x5411n;
/** States of a connection that has seen an end of its peer's. */
export const tcpStates = { closed: 7, closeWait: 8 } as const;

/** The kernel's state of the connection, or -1 when it does not say. */
export function tcpState(handle: bigint): number {
  prepareAnswer();
  if (libc.getsockopt(handle, IPPROTO_TCP, TCP_INFO, answerAddress, answerLengthAddress) !== 0) return -1;
  return answer[0] ?? -1;
}

/**
 * What is known of bytes written last: 'none' met a program, the answer is still on its way, or nothing will be known.
 */
export type Delivery = 'none' | 'undecided' | 'unknown';

/**
 * What became of the last `sent` bytes, on a connection whose end was read before. 'none': it was reset, and the peer's
 * kernel had acknowledged none of them by then; they met a socket closed by its program, which never saw them. 'undecided':
 * none is acknowledged, and a reset may come. Without that end they may have been read and not yet acknowledged.
 */
export function deliveryOf(handle: bigint, sent: number): Delivery {
  // The state first: what is not acknowledged when the connection is closed remains so.
  const state = tcpState(handle);
  if (state !== tcpStates.closed && state !== tcpStates.closeWait) return 'unknown';
  if (libc.ioctl(handle, SIOCOUTQ, optionAddress) !== 0 || (option[0] ?? 0) < sent) return 'unknown';
  return state === tcpStates.closed ? 'none' : 'undecided';
}

export function localAddress(handle: bigint): SocketAddress {
  prepareAnswer();
  if (libc.getsockname(handle, answerAddress, answerLengthAddress) !== 0) return { ip: '', port: 0 };
  return readAnswer();
}

export function peerAddress(handle: bigint): SocketAddress {
  prepareAnswer();
  if (libc.getpeername(handle, answerAddress, answerLengthAddress) !== 0) return { ip: '', port: 0 };
  return readAnswer();
}

/**
 * Where a redirected connection wanted to go (netfilter's SO_ORIGINAL_DST, both families 80), or null when the kernel
 * knows none. A connection that was not redirected gives the socket's own address: compare with localAddress.
 */
export function originalDestination(handle: bigint, family: 4 | 6): SocketAddress | null {
  prepareAnswer();
  const level = family === 4 ? SOL_IP : SOL_IPV6;
  if (libc.getsockopt(handle, level, 80n, answerAddress, answerLengthAddress) !== 0) return null;
  return readAnswer();
}

/** Makes the next close send RST. */
export function setResetOnClose(handle: bigint): void {
  option[0] = 1;
  option[1] = 0;
  libc.setsockopt(handle, SOL_SOCKET, 13n, optionAddress, 8n); // SO_LINGER {on, 0 s}
}

/** Held back from now on, until all of it can go in as few segments as possible; or let go. */
export function setCork(handle: bigint, corked: boolean): void {
  setInt(handle, IPPROTO_TCP, 3n, corked ? 1 : 0);
}

/** FIN. */
export function shutdownWrite(handle: bigint): void {
  libc.shutdown(handle, 1n);
}

/** Bytes waiting in the socket, left there; at most `length`. 0 is EOF, below 0 see errno. */
export function peek(handle: bigint, address: bigint, length: bigint): number {
  return libc.recv(handle, address, length, 2n); // MSG_PEEK
}
