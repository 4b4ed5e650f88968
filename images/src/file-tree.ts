/**
 * What a layer holds, before it is a tar: paths without a leading slash, in any order. Owner, mode and content decide
 * its bytes; times never do. Invariant: every file has its folders.
 */
import fs from 'node:fs';
import path from 'node:path';

export type Entry =
  | { readonly kind: 'folder'; readonly mode: number }
  | { readonly kind: 'file'; readonly mode: number; readonly content: () => Buffer }
  | { readonly kind: 'link'; readonly target: string };

/** Folders that Debian made links into /usr; packages of before still name them. */
const merged = /^(bin|sbin|lib|lib64)(?=\/|$)/;

export class FileTree {
  readonly #entries = new Map<string, Entry>();

  /** Sorted by path, folders before what they hold. */
  entries(): readonly (readonly [string, Entry])[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  has(name: string): boolean {
    return this.#entries.has(normal(name));
  }

  folder(name: string, mode = 0o755): this {
    return this.#put(normal(name), { kind: 'folder', mode });
  }

  text(name: string, content: string, mode = 0o644): this {
    return this.bytes(name, Buffer.from(content), mode);
  }

  bytes(name: string, content: Buffer, mode = 0o644): this {
    return this.#put(normal(name), { kind: 'file', mode, content: () => content });
  }

  /** The content of a file on this machine, links followed. Executable for all or for none. */
  file(name: string, source: string): this {
    const mode = (fs.statSync(source).mode & 0o100) === 0 ? 0o644 : 0o755;
    return this.#put(normal(name), { kind: 'file', mode, content: () => fs.readFileSync(source) });
  }

  link(name: string, target: string): this {
    return this.#put(name, { kind: 'link', target });
  }

  /** A whole folder; `keeps` says which of its paths, all by default. Links stay links. */
  copy(name: string, source: string, keeps: (relative: string) => boolean = () => true): this {
    for (const e of fs.readdirSync(source, { withFileTypes: true, recursive: true })) {
      const from = path.join(e.parentPath, e.name);
      const relative = path.relative(source, from);
      if (!keeps(relative)) continue;
      const to = path.posix.join(name, relative);
      if (e.isSymbolicLink()) this.link(normal(to), fs.readlinkSync(from));
      else if (e.isFile()) this.file(to, from);
      else if (e.isDirectory()) this.folder(to);
    }
    return this;
  }

  /** The same but for one path; its folders stay. */
  without(name: string): FileTree {
    const rest = new FileTree();
    for (const [key, entry] of this.#entries) if (key !== normal(name)) rest.#entries.set(key, entry);
    return rest;
  }

  /** What is here and not in the other: a layer on top of it. */
  minus(lower: FileTree): FileTree {
    const rest = new FileTree();
    for (const [key, entry] of this.#entries) if (!lower.#entries.has(key)) rest.#put(key, entry);
    return rest;
  }

  #put(name: string, entry: Entry): this {
    const parent = path.posix.dirname(name);
    if (parent !== '.' && !this.#entries.has(parent)) this.#put(parent, { kind: 'folder', mode: 0o755 });
    this.#entries.set(name, entry);
    return this;
  }
}

/** @throws Error for a path that would leave the image */
function normal(name: string): string {
  const clean = path.posix.normalize(name).replace(/^\/+|\/+$/g, '');
  if (/^(|\.|\.\.(\/.*)?)$/.test(clean)) throw new Error(`not a path inside an image: ${name}`);
  return clean.replace(merged, 'usr/$1');
}
