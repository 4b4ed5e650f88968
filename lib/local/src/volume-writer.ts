/**
 * Puts a volume's files in place the way the kubelet does: a new folder each time, and one rename of the link
 * `..data` that all files point through. Invariant: a reader sees the old set of files or the new one, never a mix.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { VolumeFile } from './volume-content.ts';

export interface Ownership {
  /** The one user that reads secrets of this volume; undefined when there are several. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

const dataLink = '..data';

function sameContent(dir: string, files: ReadonlyMap<string, VolumeFile>): boolean {
  const current = path.join(dir, dataLink);
  if (!fs.existsSync(current)) return false;
  const present = fs
    .readdirSync(current, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => path.relative(current, path.join(e.parentPath, e.name)));
  if (present.length !== files.size) return false;
  return [...files].every(([name, f]) => {
    const file = path.join(current, name);
    return fs.existsSync(file) && fs.readFileSync(file).equals(f.content);
  });
}

function writeGeneration(target: string, files: ReadonlyMap<string, VolumeFile>, owner: Ownership): void {
  for (const [name, f] of files) {
    const file = path.join(target, name);
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    const onlyOwner = f.secret && owner.uid !== undefined;
    fs.writeFileSync(file, f.content, { mode: 0o600 });
    if (onlyOwner || owner.gid !== undefined) fs.chownSync(file, onlyOwner ? (owner.uid ?? 0) : 0, owner.gid ?? 0);
    fs.chmodSync(file, onlyOwner ? f.mode & 0o700 : f.mode);
  }
}

function replaceLink(link: string, to: string): void {
  const temporary = `${link}.tmp`;
  fs.rmSync(temporary, { force: true });
  fs.symlinkSync(to, temporary);
  fs.renameSync(temporary, link);
}

/** Writes the files below dir; does nothing when they are already there as wanted. */
export function writeVolume(
  dir: string,
  files: ReadonlyMap<string, VolumeFile>,
  owner: Ownership,
  stamp: string,
): void {
  fs.mkdirSync(dir, { recursive: true, mode: 0o755 });
  if (sameContent(dir, files)) return;
  const generation = `..${stamp}`;
  const target = path.join(dir, generation);
  fs.mkdirSync(target, { recursive: true, mode: 0o755 });
  writeGeneration(target, files, owner);
  const link = path.join(dir, dataLink);
  const old = fs.existsSync(link) ? fs.readlinkSync(link) : undefined;
  replaceLink(link, generation);
  const tops = new Set([...files.keys()].map((n) => n.split('/')[0] ?? n));
  for (const top of tops) {
    if (!fs.existsSync(path.join(dir, top))) replaceLink(path.join(dir, top), path.join(dataLink, top));
  }
  for (const entry of fs.readdirSync(dir)) {
    if (!entry.startsWith('..') && !tops.has(entry)) fs.rmSync(path.join(dir, entry), { force: true });
  }
  if (old !== undefined && old !== generation) fs.rmSync(path.join(dir, old), { recursive: true, force: true });
}
