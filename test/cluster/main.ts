/**
 * `npm run test:cluster [-- PATTERN]`: a whole Kubernetes in namespaces of its own, the mesh's images, and the tests
 * that run on it. Ends with one plain line, `N passed, N failed`, and leaves nothing behind.
 *
 *   --hold            bring the cluster up and keep it until Ctrl-C, for work by hand
 *   --in DIR PATTERN  run tests in a cluster that --hold keeps
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { closing, runAva } from '../runner/suite.ts';
import { buildBinaries, goVersion, kubernetesPrograms } from './bed/binaries.ts';
import { fetchGatewayApi } from './bed/gateway-api.ts';
import { makeImages } from './bed/images.ts';
import { leftBehind, machineSettings } from './bed/machine.ts';
import { type BedNamespace, createNamespace } from './bed/namespace.ts';
import { ensureSystemPackages } from './bed/system-packages.ts';
import { bringUp } from './bed/up.ts';
import { bedVariable } from './cluster.ts';

const begun = Date.now();
const say = (text: string): void => console.log(`${((Date.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${text}`);
const logsOfFailure = path.resolve(import.meta.dirname, '../../.chainmail/cluster-logs');

interface Options {
  readonly hold: boolean;
  readonly inside: string | null;
  readonly patterns: readonly string[];
}

function parse(args: readonly string[]): Options {
  const [first, second, ...rest] = args;
  if (first === '--hold') return { hold: true, inside: null, patterns: [] };
  if (first === '--in' && second !== undefined) return { hold: false, inside: second, patterns: rest };
  return { hold: false, inside: null, patterns: args };
}

/** What this machine lacks for good; null when the tests can run. */
function obstacle(): string | null {
  if (process.getuid?.() !== 0) return 'it makes namespaces and needs root. Run:  sudo npm run test:cluster';
  if (goVersion() === null) return 'there is no Go on the PATH to build Kubernetes with; install Go 1.25 or later';
  return null;
}

async function prepared(): Promise<BedNamespace> {
  ensureSystemPackages(say);
  const binaries = await buildBinaries(goVersion() ?? '', say);
  const bed = await createNamespace(binaries.init);
  try {
    for (const name of kubernetesPrograms) fs.symlinkSync(binaries.kubetest, `${bed.work}/bin/${name}`);
    fs.symlinkSync(binaries.coredns, `${bed.work}/bin/coredns`);
    writeEnter(bed);
    fetchGatewayApi(bed.work);
    await makeImages(`${bed.work}/images/layout`, binaries, say);
    say('images made');
  } catch (error) {
    await bed.close();
    throw error;
  }
  return bed;
}

/** For hands: `DIR/enter kubectl get pods -A`. */
function writeEnter({ work, pid }: BedNamespace): void {
  const text = `#!/bin/sh
export ${bedVariable}=${work} KUBECONFIG=${work}/pki/admin.kubeconfig PATH=${work}/bin:$PATH
exec nsenter --net=/proc/${pid}/ns/net -- "$@"
`;
  fs.writeFileSync(`${work}/enter`, text, { mode: 0o755 });
}

/** This program again, in the bed's network namespace. Resolves with its exit code. */
function again(bed: BedNamespace, args: readonly string[]): Promise<number> {
  const self = path.join(import.meta.dirname, 'main.ts');
  const env = { ...process.env, CHAINMAIL_BED: JSON.stringify({ pid: bed.pid, cgroup: bed.cgroup }) };
  const command = ['--no-warnings', self, ...args];
  const child = spawn(`${bed.work}/enter`, [process.execPath, ...command], { stdio: 'inherit', env });
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {}); // the terminal tells the child as well; its end is ours
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 130));
  });
}

async function outside(args: readonly string[]): Promise<number> {
  const before = machineSettings();
  const bed = await prepared();
  let code = 1;
  try {
    code = await again(bed, args);
    if (code !== 0) keepLogs(bed.work);
  } finally {
    await bed.close();
  }
  const left = leftBehind(bed.work, bed.cgroup, before);
  for (const line of left) console.log(`NOT OK: left behind: ${line}`);
  return left.length > 0 ? 1 : code;
}

function keepLogs(work: string): void {
  fs.rmSync(logsOfFailure, { recursive: true, force: true });
  fs.cpSync(path.join(work, 'log'), logsOfFailure, { recursive: true });
  console.log(`logs of the components: ${path.relative(process.cwd(), logsOfFailure)}`);
}

async function inside(work: string, options: Options): Promise<number> {
  const bed = process.env['CHAINMAIL_BED'];
  if (bed !== undefined) await bringUp({ work, ...JSON.parse(bed) }, say);
  say('cluster up');
  if (options.hold) return hold(work);
  const folder = path.resolve(import.meta.dirname, '..');
  const report = await runAva(folder, ['--config', 'cluster/ava.config.mjs', ...options.patterns]);
  for (const line of closing([report], begun)) console.log(line);
  return report.failed.length > 0 ? 1 : 0;
}

function hold(work: string): Promise<number> {
  console.log(`\n${work}/enter kubectl get pods -A\nnpm run test:cluster -- --in ${work} PATTERN\nCtrl-C ends it.`);
  const alive = setInterval(() => undefined, 2 ** 30);
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        clearInterval(alive);
        resolve(0);
      });
    }
  });
}

function joined(work: string, patterns: readonly string[]): Promise<number> {
  const child = spawn(`${work}/enter`, [process.execPath, '--no-warnings', import.meta.filename, ...patterns], {
    stdio: 'inherit',
  });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  const work = process.env[bedVariable];
  if (work !== undefined) return inside(work, options);
  if (options.inside !== null) return joined(options.inside, options.patterns);
  const why = obstacle();
  if (why === null) return outside(args);
  console.log(`SKIPPED: test:cluster: ${why}`);
  console.log('0 passed, 0 failed, 1 skipped');
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error);
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
}
