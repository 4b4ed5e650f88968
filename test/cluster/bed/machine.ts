/** What a bed could leave on the machine: everything of it has its name, except the settings of the machine. */
import fs from 'node:fs';

/** Those that kubelet and containerd are known to change. */
const watched = [
  'kernel/panic',
  'kernel/panic_on_oops',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'net/ipv4/ip_forward',
];

export type Settings = Readonly<Record<string, string>>;

export function machineSettings(): Settings {
  return Object.fromEntries(watched.map((name) => [name, text(`/proc/sys/${name}`).trim()]));
}

/** One line for each thing that is still there or not as it was. */
export function leftBehind(work: string, cgroup: string, before: Settings): readonly string[] {
  const after = machineSettings();
  return [
    ...(fs.existsSync(work) ? [`folder ${work}`] : []),
    ...text('/proc/self/mounts')
      .split('\n')
      .filter((line) => line.includes(work))
      .map((line) => `mount ${line}`),
    ...cgroupsNamed(cgroup).map((dir) => `cgroup ${dir}`),
    ...processesOf(work, cgroup).map((process) => `process ${process}`),
    ...watched.filter((name) => after[name] !== before[name]).map((n) => `setting ${n}: ${before[n]} -> ${after[n]}`),
  ];
}

function cgroupsNamed(name: string): readonly string[] {
  const root = '/sys/fs/cgroup';
  return [root, ...names(root).map((d) => `${root}/${d}`)].map((d) => `${d}/${name}`).filter((d) => fs.existsSync(d));
}

/** Started with a path of the bed, or in its cgroup. */
function processesOf(work: string, cgroup: string): readonly string[] {
  return names('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .map((pid) => ({
      pid,
      line: text(`/proc/${pid}/cmdline`).replaceAll('\0', ' '),
      groups: text(`/proc/${pid}/cgroup`),
    }))
    .filter(({ line, groups }) => line.includes(work) || groups.includes(`/${cgroup}/`))
    .map(({ pid, line }) => `${pid} ${line}`);
}

function names(dir: string): readonly string[] {
  try {
    return fs.readdirSync(dir);
  } catch {
    return [];
  }
}

/** Of a file that may go at any moment. */
function text(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
