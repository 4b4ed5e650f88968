/** What the bed needs from the system: installed with apt where there is apt, named where there is not. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/** A file that shows a package is there, in any of these folders, and the Debian package that brings it. */
const needed: readonly { readonly file: string; readonly dirs: readonly string[]; readonly debian: string }[] = [
  ...[
    ['containerd', 'containerd'],
    ['ctr', 'containerd'],
    ['runc', 'runc'],
    ['busybox', 'busybox-static'],
    ['openssl', 'openssl'],
    ['nft', 'nftables'],
    ['iptables', 'iptables'],
    ['ip', 'iproute2'],
    ['nsenter', 'util-linux'],
    ['unshare', 'util-linux'],
    ['mount', 'mount'],
    ['sysctl', 'procps'],
    ['pkill', 'procps'],
    ['conntrack', 'conntrack'],
  ].map(([file = '', debian = '']) => ({ file, debian, dirs: programDirs() })),
  ...['bridge', 'host-local', 'portmap', 'loopback'].map((file) => ({
    file,
    debian: 'containernetworking-plugins',
    dirs: [cniDir()],
  })),
];

export function cniDir(): string {
  return '/usr/lib/cni';
}

function programDirs(): readonly string[] {
  return [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'].filter((d) => d !== '');
}

function missing(): readonly string[] {
  const absent = needed.filter(({ file, dirs }) => !dirs.some((d) => fs.existsSync(`${d}/${file}`)));
  return [...new Set(absent.map((n) => n.debian))];
}

/** @throws Error naming the packages when they cannot be installed */
export function ensureSystemPackages(say: (text: string) => void): void {
  const packages = missing();
  if (packages.length === 0) return;
  if (!fs.existsSync('/usr/bin/apt-get')) {
    throw new Error(`missing: ${packages.join(', ')} (names of Debian packages); install what brings them here`);
  }
  say(`installing ${packages.join(', ')} with apt`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: readonly string[]) =>
    execFileSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  apt('update', '-qq');
  apt('install', '-y', '-qq', '--no-install-recommends', ...packages);
  const still = missing();
  if (still.length > 0) throw new Error(`still missing after apt-get install: ${still.join(', ')}`);
}
