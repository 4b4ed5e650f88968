/** An eventfd by which one thread wakes another out of epoll_wait. */
import { pin } from './ffi.ts';
import * as libc from './libc.ts';

const one = Buffer.alloc(8);
one.writeBigUInt64LE(1n);
const oneAddress = pin(one);
const count = Buffer.alloc(8);
const countAddress = pin(count);

/** A new eventfd, non-blocking, for the whole process. @throws Error */
export function openWake(): number {
  const fd = libc.eventfd(0n, 0x80800n);
  if (fd < 0) throw new Error(`eventfd: ${libc.errnoText(libc.errno())}`);
  return fd;
}

export function wake(fd: number): void {
  libc.write(BigInt(fd), oneAddress, 8n);
}

/** Takes the wake-ups so far. */
export function takeWake(fd: number): void {
  libc.read(BigInt(fd), countAddress, 8n);
}

/** For eventfds, and for what a dead thread has left open. */
export function closeDescriptor(fd: number): void {
  libc.close(BigInt(fd), 0n);
}
