/** Memory that the process freed and its allocator still holds. */
import { bindInt } from './ffi.ts';

/** Gives free pages of malloc back to the system, where the C library can (glibc). */
export function trimHeap(): void {
  try {
    bindInt('malloc_trim', 2)(0n, 0n);
  } catch {
    // musl has no such function, and keeps little
  }
}
