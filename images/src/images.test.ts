/** Layers and layouts: the bytes that registries and run-times judge us by. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { needsOf } from './elf.ts';
import { FileTree } from './file-tree.ts';
import { writeLayer } from './layer.ts';
import { type Descriptor, layoutArchive, writeLayout } from './layout.ts';
import { tar } from './tar.ts';

const temporary = (t: { teardown: (f: () => void) => void }): string => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'images-test-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  return dir;
};

const deep = `${'a'.repeat(60)}/${'b'.repeat(60)}/é${'c'.repeat(60)}`;
const tree = () =>
  new FileTree()
    .text('etc/passwd', 'root:x:0:0\n')
    .text('usr/bin/tool', '#!/bin/sh\n', 0o755)
    .text(deep, 'far away')
    .text('exactly-one-block', 'x'.repeat(512))
    .text('empty', '')
    .folder('tmp', 0o1777)
    .link('bin', 'usr/bin')
    .link('far', `${'d'.repeat(150)}`);

test('the system tar unpacks what was put in, with modes, links and long names', (t) => {
  const dir = temporary(t);
  fs.writeFileSync(`${dir}/x.tar`, tar(tree().entries()));
  execFileSync('tar', ['-xpf', 'x.tar'], { cwd: dir });
  t.is(fs.readFileSync(`${dir}/bin/tool`, 'utf8'), '#!/bin/sh\n');
  t.is(fs.statSync(`${dir}/usr/bin/tool`).mode & 0o7777, 0o755);
  t.is(fs.statSync(`${dir}/tmp`).mode & 0o7777, 0o1777);
  t.is(fs.readFileSync(`${dir}/${deep}`, 'utf8'), 'far away');
  t.is(fs.readFileSync(`${dir}/exactly-one-block`).length, 512);
  t.is(fs.statSync(`${dir}/empty`).size, 0);
  t.is(fs.readlinkSync(`${dir}/far`), 'd'.repeat(150));
});

test('everything in a layer belongs to root and has no time', (t) => {
  const listing = execFileSync('tar', ['-tvf', '-', '--numeric-owner', '--utc'], {
    input: tar(tree().entries()),
    encoding: 'utf8',
  });
  for (const line of listing.trimEnd().split('\n')) t.regex(line, /^\S+ 0\/0 +\d+ 1970-01-01 00:00/);
});

test('the same tree gives the same bytes, in whatever order it was put together', async (t) => {
  const [a, b] = [temporary(t), temporary(t)];
  const other = new FileTree().text('b', '2').text('a', '1');
  const one = await writeLayer(a, 'x', new FileTree().text('a', '1').text('b', '2'));
  const two = await writeLayer(b, 'x', other);
  t.is(one.digest, two.digest);
  t.deepEqual(fs.readFileSync(one.file), fs.readFileSync(two.file));
});

test('a layer is named by its compressed bytes, its diff id by what they unpack to', async (t) => {
  const layer = await writeLayer(temporary(t), 'x', tree());
  const bytes = fs.readFileSync(layer.file);
  const sha256 = (b: Buffer) => `sha256:${createHash('sha256').update(b).digest('hex')}`;
  t.is(layer.digest, sha256(bytes));
  t.is(layer.size, bytes.length);
  t.is(layer.diffId, sha256(gunzipSync(bytes)));
});

test('folders of the old layout land in /usr, and nothing leaves the image', (t) => {
  const names = new FileTree()
    .text('/lib/x86_64-linux-gnu/libc.so.6', '')
    .entries()
    .map(([name]) => name);
  t.true(names.includes('usr/lib/x86_64-linux-gnu/libc.so.6'));
  t.false(names.includes('lib'));
  for (const bad of ['../x', 'a/../../x', '/', ''])
    t.throws(() => new FileTree().text(bad, ''), { message: /not a path/ });
});

test('a layer on top holds only what the lower one has not', (t) => {
  const lower = new FileTree().text('a/x', '');
  const upper = new FileTree().text('a/x', '').text('b/y', '').minus(lower);
  t.deepEqual(
    upper.entries().map(([name]) => name),
    ['b', 'b/y'],
  );
});

test('what a program needs is read from its file', (t) => {
  const { interpreter, libraries } = needsOf(process.execPath);
  t.regex(interpreter ?? '', /^\/lib(64)?\/ld-linux/);
  t.true(libraries.includes('libstdc++.so.6'));
  t.true(libraries.includes('libc.so.6'));
  t.throws(() => needsOf(import.meta.filename), { message: /not a 64-bit ELF file/ });
});

test('a layout holds every blob it names, with the digest and the size it says', async (t) => {
  const dir = path.join(temporary(t), 'layout');
  const layers = [await writeLayer(temporary(t), 'one', tree())];
  const runs = { User: '1337:1337', Entrypoint: ['/usr/bin/tool'] };
  writeLayout(dir, [
    {
      reference: 'example.test/tool:1',
      variants: [
        { architecture: 'amd64', layers, runs },
        { architecture: 'arm64', layers, runs },
      ],
    },
  ]);
  const blob = (d: Descriptor) => {
    const bytes = fs.readFileSync(path.join(dir, 'blobs', d.digest.replace(':', '/')));
    t.is(bytes.length, d.size);
    t.is(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, d.digest);
    return bytes;
  };
  const json = (d: Descriptor) => JSON.parse(blob(d).toString('utf8'));
  const [image] = JSON.parse(fs.readFileSync(path.join(dir, 'index.json'), 'utf8')).manifests;
  t.is(image.annotations['io.containerd.image.name'], 'example.test/tool:1');
  const variants: Descriptor[] = json(image).manifests;
  t.deepEqual(
    variants.map((v) => v.platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  );
  for (const variant of variants) {
    const manifest = json(variant);
    const config = json(manifest.config);
    t.deepEqual(config.config, runs);
    t.is(config.architecture, variant.platform?.architecture);
    t.deepEqual(
      config.rootfs.diff_ids,
      layers.map((l) => l.diffId),
    );
    for (const layer of manifest.layers) blob(layer);
  }
});

test('the archive of a layout unpacks to the layout', async (t) => {
  const dir = path.join(temporary(t), 'layout');
  const layers = [await writeLayer(temporary(t), 'one', tree())];
  writeLayout(dir, [{ reference: 'example.test/a/tool:1', variants: [{ architecture: 'amd64', layers, runs: {} }] }]);
  const out = temporary(t);
  execFileSync('tar', ['-xf', '-'], { cwd: out, input: layoutArchive(dir) });
  t.deepEqual(fs.readdirSync(out).sort(), ['blobs', 'index.json', 'oci-layout']);
  t.deepEqual(fs.readdirSync(`${out}/blobs/sha256`).sort(), fs.readdirSync(`${dir}/blobs/sha256`).sort());
});
