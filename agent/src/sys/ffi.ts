/**
 * The one door to native code. Fast calls: every argument a pointer-sized bigint, at least two of them, an int32 or
 * pointer result; only then does Node hand out the raw V8 fast-call function without a validating wrapper.
 * Invariant: a fast call never re-enters JavaScript, and no caller passes undefined (it would become 0).
 */
import ffi from 'node:ffi';

const library = new ffi.DynamicLibrary(null);

export type Native2<R> = (a: bigint, b: bigint) => R;
export type Native3<R> = (a: bigint, b: bigint, c: bigint) => R;
export type Native4<R> = (a: bigint, b: bigint, c: bigint, d: bigint) => R;
export type Native5<R> = (a: bigint, b: bigint, c: bigint, d: bigint, e: bigint) => R;
export type Native7<R> = (a: bigint, b: bigint, c: bigint, d: bigint, e: bigint, f: bigint, g: bigint) => R;

interface NativeOf<R> {
  readonly 2: Native2<R>;
  readonly 3: Native3<R>;
  readonly 4: Native4<R>;
  readonly 5: Native5<R>;
  readonly 7: Native7<R>;
}

function fast(name: string, count: number, result: 'int32' | 'pointer' | 'void'): unknown {
  const parameters: 'pointer'[] = new Array(count).fill('pointer');
  return library.getFunction(name, { arguments: parameters, return: result });
}

/** A fast function with an int result. Functions with fewer than two parameters take padding. */
export function bindInt<N extends 2 | 3 | 4 | 5>(name: string, count: N): NativeOf<number>[N] {
  return fast(name, count, 'int32') as NativeOf<number>[N];
}

/** A fast function with a pointer or other 64-bit result, as a bigint. */
export function bindPointer<N extends 2 | 3 | 4 | 5 | 7>(name: string, count: N): NativeOf<bigint>[N] {
  return fast(name, count, 'pointer') as NativeOf<bigint>[N];
}

export function bindVoid<N extends 2 | 3 | 4 | 5>(name: string, count: N): NativeOf<void>[N] {
  return fast(name, count, 'void') as NativeOf<void>[N];
}

/**
 * The slow, generic form of an int function of one handle: the only form that may run callbacks of ours. The uint64
 * argument is what keeps Node from choosing the fast form.
 */
export function bindReentrant(name: string): (handle: bigint) => number {
  return library.getFunction(name, { arguments: ['uint64'], return: 'int32' }) as unknown as (handle: bigint) => number;
}

/** The same for a function of a handle and a number. */
export function bindReentrant2(name: string): (handle: bigint, value: bigint) => number {
  const shape = { arguments: ['uint64', 'uint64'] as const, return: 'int32' as const };
  return library.getFunction(name, shape as never) as unknown as (handle: bigint, value: bigint) => number;
}

/** Makes a C function pointer of a JavaScript function; for reentrant functions called on this thread only. */
export function callback(
  parameters: readonly ('pointer' | 'uint32')[],
  run: (...values: readonly (bigint | number)[]) => number,
): bigint {
  return library.registerCallback({ arguments: parameters, return: 'int32' }, run as never);
}

/**
 * Address of the first byte. It stays valid while the view is referenced, because backing stores never move; asking
 * for the address moves a small array's bytes off V8's heap for good.
 */
export function addressOf(view: NodeJS.ArrayBufferView): bigint {
  return ffi.getRawPointer(view);
}

/** The native memory itself, not a copy. Only for memory that outlives every use (errno). */
export function nativeView(address: bigint, bytes: number): ArrayBuffer {
  return ffi.toArrayBuffer(address, bytes, false);
}

export function copyBytes(address: bigint, bytes: number): Buffer {
  return ffi.toBuffer(address, bytes, true);
}

/** A NUL-terminated string, or '' for NULL. */
export function textAt(address: bigint): string {
  return address === 0n ? '' : (ffi.toString(address) ?? '');
}

export function storePointer(at: bigint, value: bigint): void {
  ffi.setUint64(at, 0, value);
}

export function storeByte(at: bigint, value: number): void {
  ffi.setUint8(at, 0, value);
}

/** Everything handed to C for good is referenced here, so that it is never collected. */
const pinned: unknown[] = [];

/** Keeps the view alive for the life of the thread and gives its address. */
export function pin(view: NodeJS.ArrayBufferView): bigint {
  pinned.push(view);
  return addressOf(view);
}
