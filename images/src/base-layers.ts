/** The layers that every image of ours shares: the C and C++ libraries Node needs, and Node itself. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { agentUid } from '@chainmail/runtime';
import { type Architecture, hostArchitecture, nodeName } from './architecture.ts';
import { addPrograms, type DebianRoot } from './debian.ts';
import { FileTree } from './file-tree.ts';
import type { Workshop } from './workshop.ts';

const run = promisify(execFile);

/** Of the control plane; not root, and nobody else's. */
export const controlPlaneUid = 65_532;

/** What a program expects of any system: users, name look-ups by files and DNS, somewhere to write. */
export function skeleton(): FileTree {
  const user = (name: string, id: number) => `${name}:x:${id}:${id}:${name}:/:/sbin/nologin\n`;
  const group = (name: string, id: number) => `${name}:x:${id}:\n`;
  const people = [
    ['root', 0],
    ['chainmail-agent', agentUid],
    ['chainmail', controlPlaneUid],
    ['nobody', 65_534],
  ] as const;
  return new FileTree()
    .text('etc/passwd', people.map(([name, id]) => user(name, id)).join(''))
    .text('etc/group', people.map(([name, id]) => group(name, id)).join(''))
    .text('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n')
    .folder('tmp', 0o1777)
    .folder('run')
    .folder('var/run')
    .folder('usr/bin')
    .folder('usr/sbin')
    .folder('usr/lib')
    .folder('usr/lib64')
    .link('bin', 'usr/bin')
    .link('sbin', 'usr/sbin')
    .link('lib', 'usr/lib')
    .link('lib64', 'usr/lib64');
}

export const nodePath = '/usr/bin/node';
export const nodePackages: readonly string[] = ['libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1'];

/** Only the libraries, since Node is a layer of its own: it changes at other times. */
export function librariesOfNode(root: DebianRoot, arch: Architecture, node: string): FileTree {
  const all = skeleton();
  addPrograms(all, root, arch, [{ name: nodePath, source: node }]);
  return all.without(nodePath);
}

export function nodeTree(node: string): FileTree {
  return new FileTree().file(nodePath, node);
}

/** The binary of the pinned version: installed for this machine's processor, from the registry for another. */
export async function nodeBinary(workshop: Workshop, arch: Architecture): Promise<string> {
  const installed = path.join(workshop.root, `node_modules/node-linux-${nodeName[arch]}/bin/node`);
  if (arch === hostArchitecture() || fs.existsSync(installed)) return installed;
  const name = `node-linux-${nodeName[arch]}`;
  const version = pinnedVersion(workshop.root, name);
  const dir = path.join(workshop.home, `${name}-${version}`);
  const binary = path.join(dir, 'package/bin/node');
  if (fs.existsSync(binary)) return binary;
  workshop.say(`fetching ${name}@${version} from npm`);
  fs.mkdirSync(dir, { recursive: true });
  const { stdout } = await run('npm', ['pack', '--silent', `${name}@${version}`], { cwd: dir });
  const archive = path.join(dir, stdout.trim());
  await run('tar', ['-xzf', archive, '-C', dir]);
  fs.rmSync(archive);
  return binary;
}

function pinnedVersion(root: string, name: string): string {
  const { optionalDependencies } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  const version: unknown = optionalDependencies?.[name];
  if (typeof version !== 'string') throw new Error(`package.json pins no ${name}`);
  return version;
}
