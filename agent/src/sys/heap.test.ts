import fs from 'node:fs';
import v8 from 'node:v8';
import vm from 'node:vm';
import test from 'ava';
import { cleanMappings, collectGarbage, forgetColdCode, preferMemory, trimHeap } from './heap.ts';

const node = '/opt/node bin/node';
const maps = `00400000-00f5b000 r--p 00000000 08:01 131                               ${node}
00f5b000-03a00000 r-xp 00b5b000 08:01 131                               ${node}
03a00000-03b01000 r--p 03600000 08:01 131                               ${node}
03b01000-03b08000 r--p 03700000 08:01 131                               ${node}
03b08000-03b10000 rw-p 03707000 08:01 131                               ${node}
7f0000000000-7f0000100000 r-xp 00000000 08:01 99                        /usr/lib/libc.so.6
7f0000200000-7f0000300000 r-xp 00000000 00:00 0
7f0000400000-7f0000500000 rwxp 00b5b000 08:01 131                       ${node}
`;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly start: number;
  readonly size: number;
}

const [load, dynamic] = [1, 2];
const [executable, writable, readable] = [1, 2, 4];

function elf(type: 2 | 3, base: number, segments: readonly Segment[]): Buffer {
  const file = Buffer.alloc(64 + 56 * segments.length);
  file.writeUInt32BE(0x7f45_4c46, 0);
  file.set([2, 1], 4);
  file.writeUInt16LE(type, 16);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(segments.length, 56);
  segments.forEach((s, i) => {
    file.writeUInt32LE(s.type, 64 + 56 * i);
    file.writeUInt32LE(s.flags, 68 + 56 * i);
    file.writeBigUInt64LE(BigInt(s.start - base), 80 + 56 * i);
    file.writeBigUInt64LE(BigInt(s.size), 104 + 56 * i);
  });
  return file;
}

/** Constants end and data begin within the same page of the file; what is protected later is the beginning of data. */
const segments: readonly Segment[] = [
  { type: load, flags: readable, start: 0x400000, size: 0xb5a123 },
  { type: load, flags: readable | executable, start: 0xf5b000, size: 0x2aa4000 },
  { type: load, flags: readable, start: 0x3a00000, size: 0x100456 },
  { type: load, flags: readable | writable, start: 0x3b01456, size: 0xe000 },
  { type: dynamic, flags: readable, start: 0x3b01456, size: 0x1000 },
];

const clean = [
  { start: 0x400000n, end: 0xf5b000n },
  { start: 0xf5b000n, end: 0x3a00000n },
  { start: 0x3a00000n, end: 0x3b01000n },
];

test('code and constants of the given file are named, nothing that can be written or once could', (t) => {
  t.deepEqual(cleanMappings(maps, node, elf(2, 0, segments)), clean);
  t.deepEqual(cleanMappings(maps, '/elsewhere/node', elf(2, 0, segments)), []);
});

test('a program that may lie anywhere is measured from where it lies', (t) => {
  t.deepEqual(cleanMappings(maps, node, elf(3, 0x400000, segments)), clean);
});

test('of a file that is no ELF only the code is named', (t) => {
  t.deepEqual(cleanMappings(maps, node, Buffer.from('#!/bin/sh')), clean.slice(1, 2));
  t.deepEqual(cleanMappings(maps, node, elf(2, 0, segments).subarray(0, 70)), clean.slice(1, 2));
});

function fileBackedKb(): number {
  return Number(/^RssFile:\s+(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

test('code that is out of the page table comes back when it runs', (t) => {
  const before = fileBackedKb();
  forgetColdCode();
  trimHeap();
  const after = fileBackedKb();
  t.true(after < before - 8_192, `${before} -> ${after} KB`);
  t.is(JSON.parse('{"a":[1,2,3]}').a.length, 3);
  t.is([3, 1, 2].sort().join(), '1,2,3');
});

/** A turn of the event loop: until its end a weak reference that was read holds its object. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('garbage is collected without a flag of Node', async (t) => {
  const lost = new WeakRef({ text: 'x' });
  await turn();
  collectGarbage();
  t.is(lost.deref(), undefined);
});

test('code that ran once is dropped', async (t) => {
  const text = Array.from({ length: 2_000 }, (_, i) => `function once${i}(x) { return x + ${i}; } once${i}(1);`);
  vm.runInThisContext(`(() => { ${text.join('')} })`)();
  await turn();
  preferMemory();
  const before = v8.getHeapCodeStatistics().bytecode_and_metadata_size;
  collectGarbage();
  collectGarbage();
  const dropped = before - v8.getHeapCodeStatistics().bytecode_and_metadata_size;
  t.true(dropped > 2_000 * 32, `${dropped} bytes`);
});
