/** The images of the bed beside the mesh's own: pause, a busybox, Node with a busybox, and programs nobody here wrote. */
import fs from 'node:fs';
import path from 'node:path';
import {
  type Base,
  baseOf,
  FileTree,
  hostArchitecture,
  type Image,
  type Layer,
  layersHome,
  layoutArchive,
  meshImages,
  openWorkshop,
  type Runs,
  skeleton,
  type Workshop,
  writeLayer,
  writeLayout,
} from '@chainmail/images';
import type { Binaries } from './binaries.ts';

export const testImages = {
  pause: 'chainmail.test/pause:1',
  busybox: 'chainmail.test/busybox:1',
  node: 'chainmail.test/node:1',
  podinfo: 'chainmail.test/podinfo:1',
  /** As the manifests of the demo name it: without a tag, so that kubelet asks the registry each time. */
  demo: 'chainmail.dev/demo:latest',
} as const;

/** Of the mesh's images in the bed. */
export const meshRegistry = 'chainmail.dev';
export const meshTag = 'test';

const architecture = hostArchitecture();
const env = ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** One layout for all, so that layers are stored once; also as DIR.tar. */
export async function makeImages(dir: string, binaries: Binaries, say: (text: string) => void): Promise<void> {
  const workshop = openWorkshop(say);
  const mesh = await meshImages(workshop, { architectures: [architecture], registry: meshRegistry, tag: meshTag });
  writeLayout(dir, [...mesh, ...(await bedImages(workshop, binaries))]);
  fs.writeFileSync(`${dir}.tar`, layoutArchive(dir));
}

async function bedImages(workshop: Workshop, binaries: Binaries): Promise<readonly Image[]> {
  const layer = (name: string, tree: FileTree) => writeLayer(layersHome(workshop), name, tree);
  const base = await baseOf(workshop, architecture);
  const shell = await layer('busybox', busybox());
  const pause = await layer('pause', new FileTree().file('pause', binaries.init));
  const podinfo = await layer('podinfo', new FileTree().file('usr/bin/podinfo', binaries.podinfo));
  const demoApp = path.join(workshop.root, 'manifests/demo/app');
  const demo = await layer('demo', new FileTree().copy('app', demoApp));
  return [
    image(testImages.pause, [pause], { Entrypoint: ['/pause'], User: '65535:65535' }),
    image(testImages.busybox, [await layer('skeleton', skeleton()), shell], { Env: env, Cmd: ['sh'] }),
    image(testImages.node, nodeLayers(base, shell), { Env: env, Cmd: ['node'] }),
    image(testImages.podinfo, [podinfo], { Entrypoint: ['/usr/bin/podinfo'], User: '1000:1000' }),
    image(testImages.demo, nodeLayers(base, demo), { Env: env, WorkingDir: '/app' }),
  ];
}

const nodeLayers = (base: Base, more: Layer): readonly Layer[] => [...base.layers, more];

function image(reference: string, layers: readonly Layer[], runs: Runs): Image {
  return { reference, variants: [{ architecture, layers, runs }] };
}

/** Only names that nothing else in these images has. */
const applets =
  'sh cat ls echo env id sleep test true false wget nc httpd head tail grep sed awk date kill mkdir mv rm touch tee'.split(
    ' ',
  );

function busybox(): FileTree {
  const tree = new FileTree().file('usr/bin/busybox', '/usr/bin/busybox');
  for (const name of applets) tree.link(`usr/bin/${name}`, 'busybox');
  return tree;
}
