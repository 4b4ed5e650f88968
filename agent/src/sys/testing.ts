/** For tests: a copy of native memory. */
import { copyBytes } from './ffi.ts';

export function libcView(address: bigint, bytes: number): Buffer {
  return copyBytes(address, bytes);
}
