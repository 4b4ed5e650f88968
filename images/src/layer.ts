/** A layer as a file: gzip of a tar, named by its digest. The same tree gives the same bytes. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FileTree } from './file-tree.ts';
import { tar } from './tar.ts';

export interface Layer {
  /** Of the compressed bytes; `sha256:...`. */
  readonly digest: string;
  /** Of the tar. */
  readonly diffId: string;
  readonly size: number;
  readonly file: string;
  /** Shown by `docker history` and the like. */
  readonly createdBy: string;
}

export const digestOf = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export const blobName = (digest: string): string => digest.replace('sha256:', '');

/** Writes the blob into a folder, unless it is there. */
export async function writeLayer(dir: string, createdBy: string, tree: FileTree): Promise<Layer> {
  const bytes = tar(tree.entries());
  const diffId = digestOf(bytes);
  const known = path.join(dir, `${blobName(diffId)}.json`);
  if (fs.existsSync(known)) {
    const layer: Layer = { ...JSON.parse(fs.readFileSync(known, 'utf8')), createdBy };
    if (fs.existsSync(layer.file)) return layer;
  }
  const compressed = await promisify(gzip)(bytes, { level: 6 });
  const digest = digestOf(compressed);
  const layer = { digest, diffId, size: compressed.length, file: path.join(dir, blobName(digest)), createdBy };
  fs.mkdirSync(dir, { recursive: true });
  write(layer.file, compressed);
  write(known, JSON.stringify(layer));
  return layer;
}

/** Others may be writing the same blob. */
function write(file: string, content: Buffer | string): void {
  fs.writeFileSync(`${file}.${process.pid}`, content);
  fs.renameSync(`${file}.${process.pid}`, file);
}
