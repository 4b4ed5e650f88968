/**
 * A tar whose bytes depend on names, modes and contents alone: everything belongs to root and is of the year 1970.
 * ustar, with a pax record for the path or link target that does not fit (POSIX.1-2017, pax, "ustar Interchange Format").
 */
import type { Entry } from './file-tree.ts';

const block = 512;
const types = { file: '0', link: '2', folder: '5', pax: 'x' } as const;
const maxName = 100;

export function tar(entries: readonly (readonly [string, Entry])[]): Buffer {
  const parts = entries.flatMap(([name, entry]) => member(name, entry));
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function member(name: string, entry: Entry): readonly Buffer[] {
  const path = entry.kind === 'folder' ? `${name}/` : name;
  const target = entry.kind === 'link' ? entry.target : '';
  const mode = entry.kind === 'link' ? 0o777 : entry.mode;
  const content = entry.kind === 'file' ? entry.content() : Buffer.alloc(0);
  const head = header(path, types[entry.kind], mode, content.length, target);
  return [...paxFor(path, target), head, ...padded(content)];
}

function paxFor(path: string, target: string): readonly Buffer[] {
  const records = [
    ...(Buffer.byteLength(path) > maxName ? [record('path', path)] : []),
    ...(Buffer.byteLength(target) > maxName ? [record('linkpath', target)] : []),
  ];
  if (records.length === 0) return [];
  const content = Buffer.from(records.join(''));
  return [header('pax', types.pax, 0o644, content.length, ''), ...padded(content)];
}

/** A record begins with its own length, the digits of which count. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (String(length).length > String(bytes).length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

function header(path: string, type: string, mode: number, size: number, target: string): Buffer {
  const head = Buffer.alloc(block);
  const octal = (value: number, at: number, length: number) =>
    head.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  head.write(path, 0, maxName);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  head.write('        ', 148, 'latin1');
  head.write(type, 156, 'latin1');
  head.write(target, 157, maxName);
  head.write('ustar\u000000', 257, 'latin1');
  const sum = head.reduce((a, b) => a + b, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return head;
}

function padded(content: Buffer): readonly Buffer[] {
  const over = content.length % block;
  return over === 0 ? [content] : [content, Buffer.alloc(block - over)];
}
