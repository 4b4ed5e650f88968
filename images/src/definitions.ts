/** The images of the mesh: the agent, which is mesh-init as well, and one for each program of the control plane. */
import fs from 'node:fs';
import path from 'node:path';
import { agentUid } from '@chainmail/runtime';
import { type Architecture, hostArchitecture } from './architecture.ts';
import { controlPlaneUid, librariesOfNode, nodeBinary, nodePackages, nodePath, nodeTree } from './base-layers.ts';
import { addPrograms, type DebianRoot, debianRoot, find } from './debian.ts';
import { FileTree } from './file-tree.ts';
import { type Layer, writeLayer } from './layer.ts';
import type { Image, Runs, Variant } from './layout.ts';
import { bundled, type Program, programFolder, programs } from './programs.ts';
import type { Workshop } from './workshop.ts';

/** mesh-init programs the pod's network with these. */
const interceptionPackages: readonly string[] = ['iptables', 'iproute2'];

const names: Readonly<Record<Program, string>> = {
  'chainmail-agent': 'agent',
  'chainmail-control': 'control',
  'chainmail-ca': 'ca',
  'chainmail-injector': 'injector',
};

export const defaultRegistry = 'chainmail.dev';

export function meshVersion(root: string): string {
  return JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version;
}

export interface MeshImageOptions {
  readonly architectures: readonly Architecture[];
  readonly registry: string;
  readonly tag: string;
}

export async function meshImages(workshop: Workshop, options: MeshImageOptions): Promise<readonly Image[]> {
  const bases = new Map<Architecture, Base>();
  for (const arch of options.architectures) bases.set(arch, await baseOf(workshop, arch));
  const images: Image[] = [];
  for (const program of programs) {
    const { tree, code, flags } = await bundled(workshop, program);
    const own = [await writeLayer(layersHome(workshop), program, tree)];
    const withCode = [...own];
    if (code.entries().length > 0) withCode.push(await writeLayer(layersHome(workshop), `code of ${program}`, code));
    const variants = options.architectures.map((a) =>
      variant(a, bases.get(a), program, a === hostArchitecture() ? withCode : own, flags),
    );
    images.push({ reference: `${options.registry}/${names[program]}:${options.tag}`, variants });
  }
  return images;
}

export interface Base {
  readonly root: DebianRoot;
  readonly libraries: FileTree;
  /** Libraries, then Node. */
  readonly layers: readonly Layer[];
  readonly interception: Layer;
}

export const layersHome = (workshop: Workshop): string => path.join(workshop.home, 'layers');

/** @param more packages that another image takes programs from */
export async function baseOf(workshop: Workshop, arch: Architecture, more: readonly string[] = []): Promise<Base> {
  const root = await debianRoot(workshop.home, arch, [...nodePackages, ...interceptionPackages, ...more], workshop.say);
  const node = await nodeBinary(workshop, arch);
  const libraries = librariesOfNode(root, arch, node);
  const home = layersHome(workshop);
  const layers = [
    await writeLayer(home, `libraries: ${nodePackages.join(' ')}`, libraries),
    await writeLayer(home, 'node', nodeTree(node)),
  ];
  const tools = interceptionTools(root, arch).minus(libraries);
  return { root, libraries, layers, interception: await writeLayer(home, interceptionPackages.join(' '), tools) };
}

/** iptables in both flavours and both families under every name it is called by, its modules, and ip. */
export function interceptionTools(root: DebianRoot, arch: Architecture): FileTree {
  const tree = new FileTree();
  const modules = path.dirname(
    find(root, `/usr/lib/${arch === 'amd64' ? 'x86_64' : 'aarch64'}-linux-gnu/xtables/libxt_tcp.so`),
  );
  const extensions = fs.readdirSync(modules).filter((f) => f.endsWith('.so'));
  const home = `/usr/lib/${arch === 'amd64' ? 'x86_64' : 'aarch64'}-linux-gnu/xtables`;
  addPrograms(tree, root, arch, [
    '/usr/sbin/xtables-nft-multi',
    '/usr/sbin/xtables-legacy-multi',
    '/bin/ip',
    ...extensions.map((f) => ({ name: `${home}/${f}`, source: path.join(modules, f) })),
  ]);
  for (const family of ['iptables', 'ip6tables']) {
    for (const command of ['', '-save', '-restore']) {
      tree.link(`usr/sbin/${family}${command}`, 'xtables-nft-multi');
      tree.link(`usr/sbin/${family}-nft${command}`, 'xtables-nft-multi');
      tree.link(`usr/sbin/${family}-legacy${command}`, 'xtables-legacy-multi');
    }
  }
  return tree;
}

function variant(
  architecture: Architecture,
  base: Base | undefined,
  program: Program,
  own: readonly Layer[],
  flags: readonly string[],
): Variant {
  if (base === undefined) throw new Error(`no base for ${architecture}`);
  const isAgent = program === 'chainmail-agent';
  const uid = isAgent ? agentUid : controlPlaneUid;
  const runs: Runs = {
    User: `${uid}:${uid}`,
    Env: [
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'NODE_ENV=production',
      // One malloc arena for each thread would keep 1 to 3 MB more.
      ...(isAgent ? ['MALLOC_ARENA_MAX=2'] : []),
    ],
    Entrypoint: [nodePath, ...flags, `/${programFolder}/main.js`],
    WorkingDir: '/',
    Labels: { 'org.opencontainers.image.title': program },
  };
  return { architecture, runs, layers: [...base.layers, ...(isAgent ? [base.interception] : []), ...own] };
}
