/** Memory that the process holds and does not need, given back to the system. */
import fs from 'node:fs';
import v8 from 'node:v8';
import { bindInt } from './ffi.ts';
import { notifyIsolate } from './isolate.ts';
import * as libc from './libc.ts';

/** Gives free pages of malloc back, where the C library can (glibc). */
export function trimHeap(): void {
  try {
    bindInt('malloc_trim', 2)(0n, 0n);
  } catch {
    // musl has no such function, and keeps little
  }
}

const critical = 2n;
const halfEmptyBytes = 3 * 1024 * 1024;

/**
 * Collects all garbage of this thread, and code that has not run since the last time, which stops it for some
 * milliseconds. By V8's own interface, because the flag that exposes a function for it is one of those that cost the
 * code cache (see preferMemory); and by this one, because after LowMemoryNotification() no code is dropped.
 */
export function collectGarbage(): void {
  try {
    notifyIsolate('memoryPressure', critical);
    // Pages that are half empty now are moved together by the next collection. V8 makes it of its own from 8 MB on.
    const { total_heap_size: held, used_heap_size: used } = v8.getHeapStatistics();
    if (held - used > halfEmptyBytes) notifyIsolate('memoryPressure', critical);
  } catch {
    // a Node that does not export them collects when V8 thinks it should
  }
}

/**
 * From now on code that ran once is dropped at the next collection, and what runs often skips the compiler between
 * interpreter and optimiser: 3 MB less, and the same speed once it is warm. For all threads. To be called when what a
 * start needs is loaded: V8 compares these flags with those that its caches of code were made with.
 */
export function preferMemory(): void {
  v8.setFlagsFromString('--bytecode-old-age=1');
  v8.setFlagsFromString('--flush-baseline-code');
  v8.setFlagsFromString('--no-sparkplug');
}

/** Anonymous memory of this process, from /proc; 0 where it cannot be read (a flooded process has no descriptor left). */
export function anonymousBytes(): number {
  try {
    const kb = /^RssAnon:\s+(\d+) kB$/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1];
    return kb === undefined ? 0 : Number(kb) * 1024;
  } catch {
    return 0;
  }
}

export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Segments that an ELF file (64 bit, little endian) wants loaded and not writable, by virtual address, and whether the
 * addresses are final. Constants lie in one; what the linker fills in and protects later lies in a writable one.
 */
export function readOnlySegments(elf: Buffer): { readonly fixed: boolean; readonly segments: readonly Mapping[] } {
  const isElf = elf.length >= 64 && elf.readUInt32BE(0) === 0x7f45_4c46 && elf[4] === 2 && elf[5] === 1;
  if (!isElf) return { fixed: true, segments: [] };
  const segments: Mapping[] = [];
  const [table, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  for (let at = table; at < table + size * count && at + 56 <= elf.length; at += size) {
    const loaded = elf.readUInt32LE(at) === 1; // PT_LOAD
    const writable = (elf.readUInt32LE(at + 4) & 2) !== 0;
    const start = elf.readBigUInt64LE(at + 16);
    if (loaded && !writable) segments.push({ start, end: start + elf.readBigUInt64LE(at + 40) });
  }
  return { fixed: elf.readUInt16LE(16) === 2, segments };
}

const pageMask = 0xfffn;

/**
 * The mappings of a program in the text of /proc/PID/maps whose pages the file has all of: code, and constants in the
 * segments that were never writable.
 */
export function cleanMappings(maps: string, file: string, elf: Buffer): readonly Mapping[] {
  const { fixed, segments } = readOnlySegments(elf);
  let base: bigint | null = fixed ? 0n : null;
  return maps.split('\n').flatMap((line) => {
    const m = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \d+ +(\/.*)$/.exec(line);
    if (m === null || m[5] !== file) return [];
    const [start, end] = [BigInt(`0x${m[1]}`), BigInt(`0x${m[2]}`)];
    base ??= start - BigInt(`0x${m[4]}`);
    const from = start - base;
    const constant = segments.some(
      (s) => from >= (s.start & ~pageMask) && end - start + from <= ((s.end + pageMask) & ~pageMask),
    );
    return m[3] === 'r-xp' || (m[3] === 'r--p' && constant) ? [{ start, end }] : [];
  });
}

const dontNeed = 4n; // MADV_DONTNEED

/**
 * Takes the pages of Node's own code and constants out of this process's page table; what is still used comes back from
 * the page cache at the next touch (under a microsecond for 64 KB). Half of it only serves the start.
 */
export function forgetColdCode(): void {
  try {
    const maps = fs.readFileSync('/proc/self/maps', 'latin1');
    for (const { start, end } of cleanMappings(maps, process.execPath, elfHeader())) {
      libc.madvise(start, end - start, dontNeed);
    }
  } catch {
    // no descriptor is free, say: a process that is flooded keeps its pages and lives
  }
}

/** The ELF header and the program headers behind it. */
function elfHeader(): Buffer {
  const header = Buffer.alloc(4096);
  const fd = fs.openSync(process.execPath, 'r');
  try {
    return header.subarray(0, fs.readSync(fd, header, 0, header.length, 0));
  } finally {
    fs.closeSync(fd);
  }
}
