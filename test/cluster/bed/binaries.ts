/**
 * The Go programs of the bed, built once and kept outside the tree: etcd and Kubernetes in one binary, CoreDNS, and
 * init; podinfo, and Helm's engine for our chart. A binary is found again by the content of its module, the Go version
 * and the flags it was built with.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const modules = ['kubetest', 'coredns', 'init', 'podinfo', 'chart'] as const;
export type GoModule = (typeof modules)[number];
export type Binaries = Readonly<Record<GoModule, string>>;

/** The names that the one Kubernetes binary answers to. */
export const kubernetesPrograms = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
  'kubectl',
] as const;

const source = path.join(import.meta.dirname, 'go');

export function cacheHome(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return path.join(base, 'chainmail');
}

/** Go's own installer puts it where no PATH looks by itself. */
export const goEnvironment = { ...process.env, CGO_ENABLED: '0', PATH: `${process.env['PATH']}:/usr/local/go/bin` };

/** `go version`, or null when there is no Go. */
export function goVersion(): string | null {
  try {
    return execFileSync('go', ['version'], {
      env: goEnvironment,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

/** Paths of all binaries; builds those that are not in the cache, which takes minutes the first time. */
export async function buildBinaries(go: string, say: (text: string) => void): Promise<Binaries> {
  const built: [GoModule, string][] = [];
  for (const name of modules) built.push([name, await binary(name, go, say)]);
  return Object.fromEntries(built) as unknown as Binaries;
}

/** One of them, from the cache if it is there. */
export async function binary(name: GoModule, go: string, say: (text: string) => void): Promise<string> {
  const dir = path.join(source, name);
  const flags = ['-trimpath', '-ldflags', linkFlags(name)];
  const hash = createHash('sha256').update(JSON.stringify([go, flags]));
  for (const file of fs.readdirSync(dir).sort()) hash.update(file).update(fs.readFileSync(path.join(dir, file)));
  const target = path.join(cacheHome(), 'cluster-bin', `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (fs.existsSync(target)) return target;
  say(`building ${name} with Go${name === 'kubetest' ? ', some minutes the first time' : ''}`);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}`;
  await goBuild(dir, [...flags, '-o', partial, packageOf(name)]);
  removeOlder(name, target);
  fs.renameSync(partial, target);
  return target;
}

/** Of another project, its command; of ours, the module itself. */
function packageOf(name: GoModule): string {
  return name === 'podinfo' ? 'github.com/stefanprodan/podinfo/cmd/podinfo' : '.';
}

/** Without a version Kubernetes' components call themselves v0.0.0-master. */
function linkFlags(name: GoModule): string {
  if (name !== 'kubetest') return '-s -w';
  const text = fs.readFileSync(path.join(source, name, 'go.mod'), 'utf8');
  const version = /^\s*k8s\.io\/kubernetes (v1\.(\d+)\.\d+)$/m.exec(text);
  if (version === null) throw new Error(`${source}/${name}/go.mod does not require k8s.io/kubernetes`);
  const set = { gitVersion: version[1], gitMajor: 1, gitMinor: version[2], gitTreeState: 'clean' };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  return `-s -w ${packages.flatMap((p) => Object.entries(set).map(([k, v]) => `-X ${p}.${k}=${v}`)).join(' ')}`;
}

function goBuild(dir: string, args: readonly string[]): Promise<void> {
  const child = spawn('go', ['build', ...args], {
    cwd: dir,
    env: goEnvironment,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`go build in ${dir} failed`))));
  });
}

/** One binary of each module is kept: Kubernetes' is 140 MB. */
function removeOlder(name: GoModule, keep: string): void {
  const home = path.dirname(keep);
  for (const file of fs.readdirSync(home)) {
    const isOurs = file.startsWith(`${name}-`) && /-[0-9a-f]{16}$/.test(file);
    if (isOurs && path.join(home, file) !== keep) fs.rmSync(path.join(home, file), { force: true });
  }
}
