/**
 * The way into a container: a shell script that, as the first process of new mount, pid, uts and ipc namespaces,
 * builds a private root and then runs the command under its own user. Pure.
 * Invariant: all writes land in a tmpfs that dies with the container; the host's files are seen, never changed.
 */

export interface Bind {
  /** A path in the host's view. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly file: boolean;
}

export interface Launch {
  /** An empty folder to mount on; each container sees only its own mount there. */
  readonly scratch: string;
  readonly hostname: string;
  /** Copied into the root, such as /etc/hosts. */
  readonly copies: readonly { readonly source: string; readonly target: string }[];
  readonly binds: readonly Bind[];
  /** Mounts of the host outside its root file system that programs may need, such as a separate /usr. */
  readonly hostMounts: readonly string[];
  readonly workingDir: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Linux capability names in lower case without `cap_`; `all` for a privileged container. */
  readonly capabilities: readonly string[] | 'all';
  readonly noNewPrivileges: boolean;
  readonly readOnlyRoot: boolean;
  readonly command: readonly string[];
}

/** A file that says the root is complete; whoever enters the container's namespaces looks for it first. */
export const readyMarker = '/run/.chainmail-container';

/** Where the host's files are while the root is built. */
const old = '/.host';

export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

function rootLines(l: Launch): string[] {
  const s = quote(l.scratch);
  return [
    `mount -t tmpfs -o mode=0755 chainmail ${s}`,
    `mkdir ${s}/upper ${s}/work ${s}/root`,
    `mount -t overlay overlay -o lowerdir=/,upperdir=${s}/upper,workdir=${s}/work ${s}/root`,
    `mkdir -p ${s}/root${old}`,
    `cd ${s}/root && pivot_root . .${old} && cd /`,
    'mount -t proc proc /proc',
    'mount -t sysfs -o ro sysfs /sys 2>/dev/null || true',
    'mount -t tmpfs -o mode=0755 tmpfs /dev',
    ...devices.map((d) => `: > /dev/${d}; mount --bind ${old}/dev/${d} /dev/${d}`),
    'mkdir /dev/shm /dev/pts; mount -t tmpfs -o mode=1777 tmpfs /dev/shm',
    'mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts 2>/dev/null || true',
    'ln -s pts/ptmx /dev/ptmx; ln -s /proc/self/fd /dev/fd',
    'ln -s /proc/self/fd/0 /dev/stdin; ln -s /proc/self/fd/1 /dev/stdout; ln -s /proc/self/fd/2 /dev/stderr',
    'mount -t tmpfs -o mode=0755 tmpfs /run; mount -t tmpfs -o mode=1777 tmpfs /tmp',
    'mkdir -p /root /home; mount -t tmpfs -o mode=0700 tmpfs /root; mount -t tmpfs -o mode=0755 tmpfs /home',
  ];
}

function bindLines(b: Bind): string[] {
  const target = quote(b.target);
  const make = b.file ? `mkdir -p "$(dirname -- ${target})"; [ -e ${target} ] || : > ${target}` : `mkdir -p ${target}`;
  const lines = [make, `mount --bind ${quote(`${old}${b.source}`)} ${target}`];
  return b.readOnly ? [...lines, `mount -o remount,bind,ro ${target}`] : lines;
}

function identity(l: Launch): string[] {
  const caps = l.capabilities === 'all' ? '+all' : ['-all', ...l.capabilities.map((c) => `+${c}`)].join(',');
  return [
    '/usr/bin/setpriv',
    `--reuid=${l.uid}`,
    `--regid=${l.gid}`,
    l.groups.length === 0 ? '--clear-groups' : `--groups=${l.groups.join(',')}`,
    '--inh-caps=-all',
    `--bounding-set=${caps}`,
    ...(l.noNewPrivileges ? ['--no-new-privs'] : []),
    '--',
  ];
}

/** Arguments that switch a root process to the container's user and capabilities; for `exec` into it as well. */
export const identityArguments = identity;

/** A program for `sh -c`; the environment it is started with becomes the command's. */
export function launchScript(l: Launch): string {
  const command = [...identity(l), ...l.command].map(quote).join(' ');
  return [
    'set -eu',
    'app_path=$PATH; PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    `hostname ${quote(l.hostname)} 2>/dev/null || true`,
    ...rootLines(l),
    ...l.hostMounts.flatMap((m) => [
      `[ ! -d ${quote(m)} ] || { mount --bind ${quote(`${old}${m}`)} ${quote(m)}; mount -o remount,bind,ro ${quote(m)}; }`,
    ]),
    ...l.copies.map((c) => `rm -f ${quote(c.target)}; cp ${quote(`${old}${c.source}`)} ${quote(c.target)}`),
    ...[...l.binds].sort((a, b) => a.target.length - b.target.length).flatMap(bindLines),
    `umount -l ${old}; rmdir ${old} 2>/dev/null || true`,
    `mkdir -p ${quote(l.workingDir)}`,
    `: > ${readyMarker}`,
    ...(l.readOnlyRoot ? ['mount -o remount,ro /run; mount -o remount,ro /tmp; mount -o remount,bind,ro /'] : []),
    `cd ${quote(l.workingDir)}`,
    'PATH=$app_path; unset app_path OLDPWD; set +e',
    command,
    'exit $?',
  ].join('\n');
}
