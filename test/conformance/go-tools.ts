/**
 * The Go programs of the harness, built once from go/go.mod into a cache outside the tree. The key is go.mod, go.sum and
 * the Go version, so that a change of any of them builds anew. Absent where there is no Go or no module proxy.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const moduleDir = path.join(import.meta.dirname, 'go');
const oldestGo = { major: 1, minor: 26 };

/** Name of each program, and its package in go.mod. */
const programs = {
  h2spec: 'github.com/summerwind/h2spec/cmd/h2spec',
  'interop-client': 'google.golang.org/grpc/interop/client',
  'interop-server': 'google.golang.org/grpc/interop/server',
} as const;

export type GoTool = keyof typeof programs;
export type GoTools = Readonly<Record<GoTool, string>>;

const cacheHome = (): string => {
  const xdg = process.env.XDG_CACHE_HOME;
  return path.join(xdg === undefined || xdg === '' ? path.join(os.homedir(), '.cache') : xdg, 'chainmail');
};

/** The Go to build with: the one on the PATH, or where its own installer puts it. */
function findGo(): { readonly go: string; readonly version: string } | { readonly missing: string } {
  for (const go of ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go']) {
    let version: string;
    try {
      version = execFileSync(go, ['env', 'GOVERSION'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    } catch {
      continue;
    }
    const [, major = '0', minor = '0'] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
    if (Number(major) === oldestGo.major && Number(minor) >= oldestGo.minor) return { go, version };
    return { missing: `${go} is ${version}, and go/go.mod wants Go ${oldestGo.major}.${oldestGo.minor}` };
  }
  return { missing: 'there is no Go on this machine (https://go.dev/dl)' };
}

function keyOf(version: string): string {
  const hash = createHash('sha256').update(`${version} ${process.arch}\0${JSON.stringify(programs)}\0`);
  for (const file of ['go.mod', 'go.sum']) hash.update(fs.readFileSync(path.join(moduleDir, file)));
  return hash.digest('hex').slice(0, 16);
}

function build(go: string, dir: string): void {
  // A build that is cut short must not look like a finished one: programs appear under their folder all at once.
  const partial = `${dir}.${process.pid}`;
  fs.mkdirSync(partial, { recursive: true });
  try {
    for (const [name, source] of Object.entries(programs)) {
      const args = ['build', '-trimpath', '-ldflags=-s -w', '-mod=readonly', '-o', path.join(partial, name), source];
      execFileSync(go, args, {
        cwd: moduleDir,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, CGO_ENABLED: '0' },
      });
    }
    fs.rmSync(dir, { recursive: true, force: true });
    fs.renameSync(partial, dir);
  } finally {
    fs.rmSync(partial, { recursive: true, force: true });
  }
}

function firstLine(error: unknown): string {
  const text =
    error instanceof Error && 'stderr' in error && error.stderr instanceof Buffer && error.stderr.length > 0
      ? error.stderr.toString()
      : String(error);
  return (
    text
      .split('\n')
      .find((l) => l.trim() !== '')
      ?.trim() ?? 'unknown'
  );
}

/** Paths of the programs, or why there are none. Builds them on the first call: some minutes, and one line says so. */
export function goTools(): GoTools | { readonly missing: string } {
  const found = findGo();
  if ('missing' in found) return found;
  const dir = path.join(cacheHome(), `conformance-${keyOf(found.version)}`);
  const names = Object.keys(programs) as readonly GoTool[];
  if (!names.every((n) => fs.existsSync(path.join(dir, n)))) {
    console.log(`building ${names.join(', ')} with ${found.version} into ${dir}, once`);
    try {
      build(found.go, dir);
    } catch (error) {
      return { missing: `the Go programs do not build (${firstLine(error)})` };
    }
  }
  return Object.fromEntries(names.map((n) => [n, path.join(dir, n)])) as GoTools;
}
