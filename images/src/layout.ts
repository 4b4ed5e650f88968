/**
 * An OCI image layout (image-spec v1.1): blobs by digest, an index for each image with a manifest for each
 * architecture, and one index.json that names them. Several images share their blobs.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Architecture } from './architecture.ts';
import { FileTree } from './file-tree.ts';
import { blobName, digestOf, type Layer } from './layer.ts';
import { tar } from './tar.ts';

/** What runs by default; an image-spec config without what we never set. */
export interface Runs {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface Variant {
  readonly architecture: Architecture;
  readonly layers: readonly Layer[];
  readonly runs: Runs;
}

export interface Image {
  /** With registry and tag, e.g. `chainmail.dev/agent:0.1.0`. */
  readonly reference: string;
  readonly variants: readonly Variant[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: Architecture; readonly os: 'linux' };
  readonly annotations?: Readonly<Record<string, string>>;
}

const oci = (type: string): string => `application/vnd.oci.image.${type}`;
/** Times would make two builds of the same sources differ. */
const created = '1970-01-01T00:00:00Z';

/** Replaces the folder. */
export function writeLayout(dir: string, images: readonly Image[]): void {
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(path.join(dir, 'blobs/sha256'), { recursive: true });
  const manifests = images.map((image) => writeImage(dir, image));
  fs.writeFileSync(path.join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  fs.writeFileSync(path.join(dir, 'index.json'), indexText(manifests));
}

/** The layout as one file, for `ctr images import` and `podman load`. */
export function layoutArchive(dir: string): Buffer {
  const tree = new FileTree().copy('blobs', path.join(dir, 'blobs'));
  for (const file of ['oci-layout', 'index.json']) tree.file(file, path.join(dir, file));
  return tar(tree.entries());
}

function writeImage(dir: string, { reference, variants }: Image): Descriptor {
  const manifests = variants.map((variant) => writeVariant(dir, variant));
  const index = writeBlob(dir, oci('index.v1+json'), indexText(manifests));
  const tag = reference.slice(reference.lastIndexOf('/') + 1);
  return {
    ...index,
    annotations: { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': tag.replace(':', '-') },
  };
}

function indexText(manifests: readonly Descriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: oci('index.v1+json'), manifests });
}

function writeVariant(dir: string, { architecture, layers, runs }: Variant): Descriptor {
  const config = {
    created,
    architecture,
    os: 'linux',
    config: runs,
    rootfs: { type: 'layers', diff_ids: layers.map((l) => l.diffId) },
    history: layers.map((l) => ({ created, created_by: l.createdBy })),
  };
  for (const { file, digest } of layers) fs.copyFileSync(file, path.join(dir, 'blobs/sha256', blobName(digest)));
  const manifest = {
    schemaVersion: 2,
    mediaType: oci('manifest.v1+json'),
    config: writeBlob(dir, oci('config.v1+json'), JSON.stringify(config)),
    layers: layers.map(({ digest, size }) => ({ mediaType: oci('layer.v1.tar+gzip'), digest, size })),
  };
  const written = writeBlob(dir, manifest.mediaType, JSON.stringify(manifest));
  return { ...written, platform: { architecture, os: 'linux' } };
}

function writeBlob(dir: string, mediaType: string, text: string): Descriptor {
  const digest = digestOf(text);
  fs.writeFileSync(path.join(dir, 'blobs/sha256', blobName(digest)), text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}
