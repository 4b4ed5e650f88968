/** `npm run images`: the mesh's images as one OCI layout and as one archive, with their sizes. */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { describeFatal, messageOf, UserError } from '@chainmail/runtime';
import { type Architecture, architectures } from './architecture.ts';
import { defaultRegistry, meshImages, meshVersion } from './definitions.ts';
import { type Image, layoutArchive, writeLayout } from './layout.ts';
import { openWorkshop } from './workshop.ts';

const usage = `npm run images -- [flags]: makes the images of agent, control, ca and injector, without Docker

  --out DIR           the OCI layout (default dist/images) and, beside it, DIR.tar
  --arch NAME         amd64 or arm64; may be given twice (default: both)
  --registry NAME     first part of the images' names (default ${defaultRegistry})
  --tag TAG           default: the version of package.json

Load:  ctr -n k8s.io images import dist/images.tar
Push:  skopeo copy --all oci:dist/images:agent-TAG docker://REGISTRY/agent:TAG
`;

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        out: text,
        arch: { type: 'string', multiple: true },
        registry: text,
        tag: text,
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UserError('USAGE', messageOf(error), { hint: usage });
  }
}

function wantedArchitectures(names: readonly string[] | undefined): readonly Architecture[] {
  for (const name of names ?? []) {
    if (!architectures.some((a) => a === name))
      throw new UserError('USAGE', `--arch: '${name}' is neither amd64 nor arm64`);
  }
  return architectures.filter((a) => names?.includes(a) ?? true);
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function report(images: readonly Image[]): void {
  for (const { reference, variants } of images) {
    for (const { architecture, layers } of variants) {
      const sizeOf = (some: typeof layers): number => some.reduce((sum, l) => sum + l.size, 0);
      const all = sizeOf(layers);
      const own = sizeOf(layers.filter((l) => l.createdBy.includes('chainmail-')));
      console.log(
        `${reference.padEnd(34)} ${architecture}  ${mb(all).padStart(8)} compressed, ${mb(own)} of it its own`,
      );
    }
  }
}

async function main(): Promise<void> {
  const values = parse(process.argv.slice(2));
  if (values.help === true) return void process.stdout.write(usage);
  const workshop = openWorkshop((text) => console.log(`images: ${text}`));
  const out = path.resolve(values.out ?? path.join(workshop.root, 'dist/images'));
  const images = await meshImages(workshop, {
    architectures: wantedArchitectures(values.arch),
    registry: values.registry ?? defaultRegistry,
    tag: values.tag ?? meshVersion(workshop.root),
  });
  writeLayout(out, images);
  fs.writeFileSync(`${out}.tar`, layoutArchive(out));
  report(images);
  console.log(`written to ${path.relative(process.cwd(), out)} and ${path.relative(process.cwd(), out)}.tar`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${describeFatal(error)}\n`);
  process.exitCode = error instanceof UserError && error.code === 'USAGE' ? 2 : 1;
}
