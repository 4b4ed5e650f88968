/**
 * Files from Debian packages of any architecture, by apt in a root of its own: the machine's package lists, its
 * architectures and what is installed on it are neither used nor changed. Versions are what the machine's sources
 * hold; a list older than a day is fetched again, and kept when it cannot be.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { messageOf, UserError } from '@chainmail/runtime';
import type { Architecture } from './architecture.ts';
import { isElf, needsOf } from './elf.ts';
import type { FileTree } from './file-tree.ts';

const run = promisify(execFile);
const listsAreFreshMs = 24 * 3600 * 1000;

export interface DebianRoot {
  /** Folder with the packages' files unpacked over one another. */
  readonly dir: string;
  /** `NAME=VERSION`, sorted. */
  readonly packages: readonly string[];
}

/** The packages with everything they depend on. @throws UserError IMAGES_NO_PACKAGES */
export async function debianRoot(
  home: string,
  arch: Architecture,
  names: readonly string[],
  say: (text: string) => void,
): Promise<DebianRoot> {
  const apt = path.join(home, `apt-${arch}`);
  const archives = path.join(apt, 'cache/archives');
  await refresh(apt, arch, say);
  const wanted = await closure(apt, arch, names);
  const key = createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 16);
  const dir = path.join(apt, `root-${key}`);
  const packages = wanted.map((w) => `${w.name}=${w.version}`).sort();
  if (fs.existsSync(dir)) return { dir, packages };
  const partial = `${dir}.${process.pid}`;
  fs.mkdirSync(partial, { recursive: true });
  for (const { file } of wanted) await run('dpkg-deb', ['-x', path.join(archives, file), partial]);
  fs.renameSync(partial, dir);
  return { dir, packages };
}

const aptOptions = (apt: string, arch: Architecture): readonly string[] =>
  [
    `APT::Architecture=${arch}`,
    `APT::Architectures=${arch}`,
    `Dir::State=${apt}/state`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}/cache`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
  ].flatMap((o) => ['-o', o]);

async function refresh(apt: string, arch: Architecture, say: (text: string) => void): Promise<void> {
  const stamp = path.join(apt, 'lists-are-of');
  const age = Date.now() - (fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (age < listsAreFreshMs) return;
  for (const dir of ['state/lists/partial', 'cache/archives/partial']) {
    fs.mkdirSync(path.join(apt, dir), { recursive: true });
  }
  fs.writeFileSync(path.join(apt, 'status'), '');
  say(`fetching Debian's package lists for ${arch}`);
  try {
    await run('apt-get', [...aptOptions(apt, arch), 'update']);
    fs.writeFileSync(stamp, '');
  } catch (cause) {
    if (!fs.existsSync(stamp)) {
      throw new UserError('IMAGES_NO_PACKAGES', `no package lists for ${arch}: ${messageOf(cause)}`, { cause });
    }
    say(`the package lists for ${arch} cannot be refreshed; those of before are used`);
  }
}

interface Archive {
  readonly name: string;
  readonly version: string;
  readonly file: string;
}

/** Downloads what is missing; against an empty status file apt names every dependency. */
async function closure(apt: string, arch: Architecture, names: readonly string[]): Promise<readonly Archive[]> {
  const install = [...aptOptions(apt, arch), 'install', '-y', '--no-install-recommends'];
  try {
    const { stdout } = await run('apt-get', [...install, '-s', ...names]);
    const found = [...stdout.matchAll(/^Inst (\S+) \((\S+) .*\[(\S+)\]\)/gm)].map(
      ([, name = '', version = '', of = '']) => ({
        name: name.replace(/:.*/, ''),
        version,
        file: `${name.replace(/:.*/, '')}_${version.replaceAll(':', '%3a')}_${of}.deb`,
      }),
    );
    const has = ({ file }: Archive): boolean => fs.existsSync(path.join(apt, 'cache/archives', file));
    if (!found.every(has)) await run('apt-get', [...install, '--download-only', ...names]);
    const absent = found.find((a) => !has(a));
    if (absent !== undefined) throw new Error(`apt left no ${absent.file}`);
    return found;
  } catch (cause) {
    throw new UserError('IMAGES_NO_PACKAGES', `${names.join(', ')} for ${arch}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Adds programs with the loader and every library they need, at their usual paths. A program is a path in the root, or
 * a file of this machine under the name it gets. @throws Error naming a library that no package brings
 */
export function addPrograms(
  tree: FileTree,
  root: DebianRoot,
  arch: Architecture,
  programs: readonly (string | { readonly name: string; readonly source: string })[],
): void {
  const open = programs.map((p) => (typeof p === 'string' ? { name: p, source: find(root, p) } : p));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (tree.has(next.name)) continue;
    tree.file(next.name, next.source);
    if (!isElf(next.source)) continue;
    const { interpreter, libraries } = needsOf(next.source);
    const needed = libraries.map((name) => library(root, arch, name, next.name));
    open.push(...needed, ...(interpreter === null ? [] : [{ name: interpreter, source: find(root, interpreter) }]));
  }
}

const triplets: Readonly<Record<Architecture, string>> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

function library(root: DebianRoot, arch: Architecture, name: string, of: string) {
  for (const folder of [`usr/lib/${triplets[arch]}`, `lib/${triplets[arch]}`, 'usr/lib', 'lib', 'lib64']) {
    const source = path.join(root.dir, folder, name);
    if (fs.existsSync(source)) return { name: `/${folder}/${name}`, source };
  }
  throw new Error(`${of} needs ${name}, which none of these packages has: ${root.packages.join(', ')}`);
}

/** A file of a package, in /usr or in the folder of before. @throws Error */
export function find(root: DebianRoot, name: string): string {
  for (const candidate of [name, name.replace(/^\/?usr\//, '/'), `/usr/${name}`]) {
    const source = path.join(root.dir, candidate);
    if (fs.existsSync(source)) return source;
  }
  throw new Error(`no package has ${name}: ${root.packages.join(', ')}`);
}
