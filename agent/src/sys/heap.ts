/** Memory that the process holds and does not need, given back to the system. */
import fs from 'node:fs';
import { bindInt } from './ffi.ts';
import * as libc from './libc.ts';

/** Gives free pages of malloc back, where the C library can (glibc). */
export function trimHeap(): void {
  try {
    bindInt('malloc_trim', 2)(0n, 0n);
  } catch {
    // musl has no such function, and keeps little
  }
}

export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/** The executable mappings of a file in the text of /proc/PID/maps: never written, so that the file has all of them. */
export function codeMappings(maps: string, file: string): readonly Mapping[] {
  return maps.split('\n').flatMap((line) => {
    const m = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ \d+ +(\/.*)$/.exec(line);
    return m === null || m[3] !== file ? [] : [{ start: BigInt(`0x${m[1]}`), end: BigInt(`0x${m[2]}`) }];
  });
}

const dontNeed = 4n; // MADV_DONTNEED

/**
 * Takes the pages of Node's own code out of this process's page table; what is still used comes back from the page
 * cache at the next touch (under a microsecond for 64 KB). Half of it only serves the start.
 */
export function forgetColdCode(): void {
  let maps: string;
  try {
    maps = fs.readFileSync('/proc/self/maps', 'latin1');
  } catch {
    return; // no descriptor is free, say: a process that is flooded keeps its pages and lives
  }
  for (const { start, end } of codeMappings(maps, process.execPath)) libc.madvise(start, end - start, dontNeed);
}
