/**
 * Which shared libraries a program needs: its interpreter and DT_NEEDED entries (System V ABI, chapter 5), for
 * 64-bit little-endian files of any machine, so that an image for arm64 is put together on amd64.
 */
import fs from 'node:fs';

export interface Needs {
  /** Absolute path of the dynamic loader, null for a library. */
  readonly interpreter: string | null;
  /** Names without folders, e.g. `libc.so.6`. */
  readonly libraries: readonly string[];
}

const segment = { load: 1, dynamic: 2, interpreter: 3 } as const;
const tag = { end: 0, needed: 1, strings: 5 } as const;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

export function isElf(file: string): boolean {
  const fd = fs.openSync(file, 'r');
  try {
    const magic = Buffer.alloc(4);
    return fs.readSync(fd, magic, 0, 4, 0) === 4 && magic.toString('latin1') === '\u007fELF';
  } finally {
    fs.closeSync(fd);
  }
}

/** @throws Error for what is not an ELF file of the supported class */
export function needsOf(file: string): Needs {
  const bytes = fs.readFileSync(file);
  if (bytes.toString('latin1', 0, 6) !== '\u007fELF\u0002\u0001') throw new Error(`${file}: not a 64-bit ELF file`);
  const segments = segmentsOf(bytes);
  const dynamic = segments.find((s) => s.type === segment.dynamic);
  const loader = segments.find((s) => s.type === segment.interpreter);
  return {
    interpreter: loader === undefined ? null : textAt(bytes, loader.offset),
    libraries: dynamic === undefined ? [] : neededOf(bytes, dynamic, segments),
  };
}

function segmentsOf(bytes: Buffer): readonly Segment[] {
  const start = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, i) => {
    const at = start + i * size;
    return {
      type: bytes.readUInt32LE(at),
      offset: Number(bytes.readBigUInt64LE(at + 8)),
      address: Number(bytes.readBigUInt64LE(at + 16)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
    };
  });
}

function neededOf(bytes: Buffer, dynamic: Segment, segments: readonly Segment[]): readonly string[] {
  const entries: [number, number][] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const kind = Number(bytes.readBigUInt64LE(at));
    if (kind === tag.end) break;
    entries.push([kind, Number(bytes.readBigUInt64LE(at + 8))]);
  }
  const strings = entries.find(([kind]) => kind === tag.strings)?.[1] ?? 0;
  const home = segments.find((s) => s.type === segment.load && strings >= s.address && strings < s.address + s.size);
  if (home === undefined) return [];
  const table = strings - home.address + home.offset;
  return entries.filter(([kind]) => kind === tag.needed).map(([, offset]) => textAt(bytes, table + offset));
}

function textAt(bytes: Buffer, at: number): string {
  return bytes.toString('utf8', at, bytes.indexOf(0, at));
}
