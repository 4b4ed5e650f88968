/** The images of the bed beside the mesh's own: pause, a busybox, Node with a busybox, and programs nobody here wrote. */
import fs from 'node:fs';
import path from 'node:path';
import {
  addPrograms,
  type Base,
  baseOf,
  debianRoot,
  defaultRegistry,
  FileTree,
  hostArchitecture,
  type Image,
  type Layer,
  layersHome,
  layoutArchive,
  meshImages,
  meshVersion,
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
  /** Node with the application of test/cluster/app in /app. */
  app: 'chainmail.test/app:1',
  podinfo: 'chainmail.test/podinfo:1',
  redis: 'chainmail.test/redis:1',
  postgres: 'chainmail.test/postgres:1',
  /** As the manifests of the demo name it: without a tag, so that kubelet asks the registry each time. */
  demo: 'chainmail.dev/demo:latest',
} as const;

/** A second name for the mesh's images, to upgrade to. */
export const nextTag = 'next';

const architecture = hostArchitecture();
const env = ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** One layout for all, so that layers are stored once; also as DIR.tar. */
export async function makeImages(dir: string, binaries: Binaries, say: (text: string) => void): Promise<void> {
  const workshop = openWorkshop(say);
  const tag = meshVersion(workshop.root);
  const now = await meshImages(workshop, { architectures: [architecture], registry: defaultRegistry, tag });
  const next = now.map((i) => ({ ...i, reference: i.reference.replace(/:[^:]*$/, `:${nextTag}`) }));
  writeLayout(dir, [...now, ...next, ...(await bedImages(workshop, binaries))]);
  fs.writeFileSync(`${dir}.tar`, layoutArchive(dir));
}

async function bedImages(workshop: Workshop, binaries: Binaries): Promise<readonly Image[]> {
  const layer = (name: string, tree: FileTree) => writeLayer(layersHome(workshop), name, tree);
  const base = await baseOf(workshop, architecture);
  const shell = await layer('busybox', busybox());
  const pause = await layer('pause', new FileTree().file('pause', binaries.init));
  const podinfo = await layer('podinfo', new FileTree().file('usr/bin/podinfo', binaries.podinfo));
  const demoApp = path.join(workshop.root, 'manifests/demo/app');
  const app = await layer('app', new FileTree().copy('app', path.join(import.meta.dirname, '../app')));
  const demo = await layer('demo', new FileTree().copy('app', demoApp));
  return [
    image(testImages.pause, [pause], { Entrypoint: ['/pause'], User: '65535:65535' }),
    image(testImages.busybox, [await layer('skeleton', skeleton()), shell], { Env: env, Cmd: ['sh'] }),
    image(testImages.node, nodeLayers(base, shell), { Env: env, Cmd: ['node'] }),
    image(testImages.app, [...base.layers, shell, app], { Env: env, Cmd: ['node', '/app/server.ts'] }),
    image(testImages.redis, [await layer('redis', await redis(workshop))], { Env: env, User: '999:999' }),
    image(testImages.postgres, [await layer('postgres', await postgres(workshop)), shell], {
      Env: env,
      User: '999:999',
    }),
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

async function redis(workshop: Workshop): Promise<FileTree> {
  const root = await debianRoot(workshop.home, architecture, ['redis-server', 'redis-tools'], workshop.say);
  const tree = skeleton();
  addPrograms(tree, root, architecture, [
    { name: '/usr/bin/redis-server', source: path.join(root.dir, 'usr/bin/redis-check-rdb') },
    '/usr/bin/redis-cli',
    '/usr/bin/redis-benchmark',
  ]);
  return tree;
}

/** The server with its share folder and the modules that it loads late. */
async function postgres(workshop: Workshop): Promise<FileTree> {
  const root = await debianRoot(workshop.home, architecture, ['postgresql'], workshop.say);
  const [version = ''] = fs.readdirSync(path.join(root.dir, 'usr/lib/postgresql'));
  const home = `usr/lib/postgresql/${version}`;
  const tree = skeleton();
  const names = (folder: string) =>
    fs.readdirSync(path.join(root.dir, home, folder)).map((f) => `/${home}/${folder}/${f}`);
  const modules = names('lib').filter((f) => /\/(plpgsql|dict_snowball|utf8_and_[a-z0-9_]+)\.so$/.test(f));
  addPrograms(tree, root, architecture, [
    ...names('bin').filter((f) => /\/(postgres|initdb|pg_ctl|psql|pgbench|pg_isready)$/.test(f)),
    ...modules,
  ]);
  tree.copy(`usr/share/postgresql/${version}`, path.join(root.dir, `usr/share/postgresql/${version}`));
  tree.copy('usr/share/zoneinfo', path.join(root.dir, 'usr/share/zoneinfo'));
  tree.link('postgres', home);
  return tree.text('etc/passwd', 'root:x:0:0:root:/:/bin/sh\npostgres:x:999:999:postgres:/tmp:/bin/sh\n');
}
