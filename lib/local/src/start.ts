/** Starts a local cluster: checks what it needs, clears leftovers, makes the node's namespace, runs a supervisor in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { defaultTrustDomain, messageOf, UserError } from '@chainmail/runtime';
import { run } from './command.ts';
import type { MeshOptions } from './control-plane.ts';
import { DevClient } from './dev-client.ts';
import { checkReadable, nodeFolder, repositoryRoot } from './images.ts';
import { removeLeftovers } from './leftovers.ts';
import { lastLines } from './log-file.ts';
import { type RunPaths, runRoot } from './run-paths.ts';
import type { StartOptions } from './start-options.ts';

export interface LocalMeshOptions {
  /** Folders with YAML. */
  readonly dirs: readonly string[];
  /** `dev` by default; two clusters of different names may run side by side. */
  readonly name?: string;
  /** Parent of the run directory, /run/chainmail-dev by default. */
  readonly root?: string;
  /** False runs the pods without injector, CA and control plane. */
  readonly withMesh?: boolean;
  readonly mesh?: Partial<MeshOptions>;
  readonly clusterDomain?: string;
  /** True: goes on after this process; otherwise it stops when this process ends, however it ends. */
  readonly detach?: boolean;
  readonly verbose?: boolean;
}

export interface LocalMesh {
  readonly name: string;
  readonly paths: RunPaths;
  readonly client: DevClient;
  /** Resolves when everything is gone. */
  readonly stop: () => Promise<void>;
  /** Resolves when the supervisor has ended, for whatever reason. */
  readonly ended: Promise<void>;
}

const neededCommands = ['ip', 'iptables-restore', 'ip6tables-restore', 'nsenter', 'unshare', 'setpriv', 'mount'];
const startTimeoutMs = 15_000;

/** Throws a UserError that says what is missing and how to get it. */
export function checkHost(): void {
  if (process.platform !== 'linux') {
    throw new UserError('LOCAL_PLATFORM', `meshctl dev needs Linux, this is ${process.platform}`, {
      hint: 'run it in a Linux virtual machine or container with --privileged',
    });
  }
  if (process.getuid?.() !== 0) {
    throw new UserError('LOCAL_NOT_ROOT', 'network namespaces and iptables need root', {
      hint: `sudo ${repositoryRoot()}/node_modules/.bin/meshctl dev up -f DIR`,
    });
  }
  const dirs = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'.split(':');
  const missing = neededCommands.filter((c) => !dirs.some((d) => fs.existsSync(path.join(d, c))));
  if (missing.length > 0) {
    throw new UserError('LOCAL_COMMAND_MISSING', `missing commands: ${missing.join(', ')}`, {
      hint: 'npm run setup, or: apt-get install iproute2 iptables util-linux mount',
    });
  }
  checkReadable(repositoryRoot());
}

function checkDirs(dirs: readonly string[]): string[] {
  return dirs.map((dir) => {
    const full = path.resolve(dir);
    if (fs.statSync(full, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new UserError('LOCAL_NO_FOLDER', `${full} is not a folder`, {
        hint: 'give the folder with your YAML after -f',
      });
    }
    return full;
  });
}

async function isUp(client: DevClient): Promise<boolean> {
  try {
    await client.status();
    return true;
  } catch {
    return false;
  }
}

function optionsOf(o: LocalMeshOptions, name: string): StartOptions {
  const mesh: MeshOptions = {
    trustDomain: defaultTrustDomain,
    certificateTtlSeconds: 0,
    logLevel: 'info',
    concurrency: 1,
    ...o.mesh,
  };
  return {
    name,
    dirs: checkDirs(o.dirs),
    mesh: o.withMesh === false ? undefined : mesh,
    clusterDomain: o.clusterDomain ?? 'cluster.local',
    verbose: o.verbose ?? false,
  };
}

function spawnSupervisor(paths: RunPaths, root: string, detach: boolean): ChildProcess {
  const logFile = path.join(paths.logs, 'supervisor.log');
  fs.mkdirSync(paths.logs, { recursive: true, mode: 0o755 });
  const fd = fs.openSync(logFile, 'a', 0o600);
  const node = path.join(repositoryRoot(), nodeFolder(), 'node');
  const program = [node, '--no-warnings', path.join(import.meta.dirname, 'supervisor-main.ts'), paths.name, root];
  const enter = [`--net=/run/netns/${paths.nodeNetns}`, '--', 'unshare', '--mount', '--propagation', 'private', '--'];
  const child = spawn('nsenter', [...enter, ...program, detach ? '--detached' : '--attached'], {
    stdio: [detach ? 'ignore' : 'pipe', fd, fd],
    detached: true,
    cwd: '/',
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  fs.closeSync(fd);
  if (detach) child.unref();
  return child;
}

async function addNode(paths: RunPaths): Promise<void> {
  try {
    await run('ip', ['netns', 'add', paths.nodeNetns]);
  } catch (cause) {
    await removeLeftovers(paths);
    throw new UserError('LOCAL_NO_NAMESPACES', `a network namespace cannot be made: ${messageOf(cause)}`, {
      hint: 'inside a container this needs --privileged',
      cause,
    });
  }
}

async function waitForSocket(client: DevClient, child: ChildProcess): Promise<void> {
  const end = Date.now() + startTimeoutMs;
  while (!(await isUp(client))) {
    if (child.exitCode !== null || Date.now() > end) {
      const tail = lastLines(path.join(client.paths.logs, 'supervisor.log'), 15).join('\n');
      throw new UserError('LOCAL_START', `the supervisor did not start:\n${tail}`);
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function waitUntilGone(paths: RunPaths, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (fs.existsSync(paths.dir) && Date.now() < end) await new Promise((done) => setTimeout(done, 50));
}

/** Stops a cluster by name and removes all it had, or what a crashed one has left. False when there was nothing. */
export async function stopLocalMesh(name: string, root: string = runRoot): Promise<boolean> {
  const client = new DevClient(name, root);
  const up = await isUp(client);
  if (up) {
    await client.stop().catch(() => {}); // it may be on its way out already
    await waitUntilGone(client.paths, 20_000);
  }
  return (await removeLeftovers(client.paths)) || up;
}

/** Resolves when the supervisor answers; pods come up after that, see client.status(). */
export async function startLocalMesh(options: LocalMeshOptions): Promise<LocalMesh> {
  checkHost();
  const name = options.name ?? 'dev';
  const root = options.root ?? runRoot;
  const start = optionsOf(options, name);
  const client = new DevClient(name, root);
  const { paths } = client;
  if (await isUp(client)) {
    throw new UserError('LOCAL_ALREADY_UP', `a local mesh '${name}' is already running`, {
      hint: `meshctl dev down --name ${name}, or take another --name`,
    });
  }
  await removeLeftovers(paths);
  fs.mkdirSync(paths.dir, { recursive: true, mode: 0o700 });
  fs.writeFileSync(paths.options, JSON.stringify(start), { mode: 0o600 });
  await addNode(paths);
  const child = spawnSupervisor(paths, root, options.detach ?? false);
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async (): Promise<void> => void (await stopLocalMesh(name, root));
  try {
    await waitForSocket(client, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, paths, client, stop, ended };
}
