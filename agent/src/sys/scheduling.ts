/**
 * How the kernel shares a processor among the threads of an agent: a worker runs for some tens of microseconds at a time and
 * should not wait until a thread beside it, which compiles or writes a log, has used up its slice of milliseconds.
 */
import { addressOf, bindInt } from './ffi.ts';

const syscall = bindInt('syscall', 5);
const numbers: Partial<Record<string, readonly [set: bigint, get: bigint]>> = {
  x64: [314n, 315n],
  arm64: [274n, 275n],
};
/** struct sched_attr as of Linux 4.3: size, policy, flags, nice, priority, runtime, deadline, period. */
const attrBytes = 48;
const runtimeAt = 24;
/** Policies of ordinary threads: SCHED_OTHER and SCHED_BATCH. */
const ordinary: readonly number[] = [0, 3];
/** Shorter ones, 0.1 ms is the least, make workers that share a busy processor drive each other out of its caches (ADR 0052). */
const sliceNs = 500_000n;

/**
 * This thread asks for short slices, so that the kernel lets it run soon after it wakes (Linux 6.12 and later; earlier ones
 * ignore it). False where that is not to be had, which costs nothing but latency. No privilege is needed.
 */
export function runSoon(): boolean {
  const calls = numbers[process.arch];
  if (calls === undefined) return false;
  const [set, get] = calls;
  const attr = Buffer.alloc(attrBytes);
  const address = addressOf(attr);
  if (syscall(get, 0n, address, BigInt(attrBytes), 0n) !== 0 || !ordinary.includes(attr.readUInt32LE(4))) return false;
  attr.writeBigUInt64LE(sliceNs, runtimeAt);
  return syscall(set, 0n, address, 0n, 0n) === 0;
}
