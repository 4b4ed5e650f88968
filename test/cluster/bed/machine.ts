/** What a run of the bed could leave on the machine, to be compared before and after. */
import fs from 'node:fs';
import os from 'node:os';

export type Machine = Readonly<Record<string, readonly string[]>>;

const settings = ['kernel/panic', 'kernel/panic_on_oops', 'vm/overcommit_memory', 'net/ipv4/ip_forward'];

export function describeMachine(): Machine {
  return {
    mounts: lines('/proc/self/mounts').filter((l) => / \/(tmp|run|var|sys\/fs)/.test(l)),
    interfaces: names('/sys/class/net'),
    cgroups: ['/sys/fs/cgroup', ...names('/sys/fs/cgroup').map((d) => `/sys/fs/cgroup/${d}`)].flatMap((d) =>
      names(d)
        .filter((n) => n.startsWith('cm-'))
        .map((n) => `${d}/${n}`),
    ),
    folders: names(os.tmpdir()).filter((n) => n.startsWith('cm-')),
    processes: ours(),
    settings: settings.map((s) => `${s}=${lines(`/proc/sys/${s}`)[0] ?? ''}`),
  };
}

/** What is there now and was not, or was and is not any more. Another bed may have come or gone meanwhile. */
export function compareMachine(before: Machine, after: Machine): readonly string[] {
  return Object.entries(after).flatMap(([what, now]) => {
    const old = before[what] ?? [];
    return now.filter((x) => !old.includes(x)).map((x) => `${what}: ${x}`);
  });
}

/** Components of a bed, by the programs only a bed runs; the kernel keeps 15 characters of a name. */
function ours(): readonly string[] {
  const programs = /^(etcd|kube-apiserver|kube-controller|kube-scheduler|kube-proxy|kubelet|coredns)$/;
  return names('/proc')
    .filter((n) => /^\d+$/.test(n))
    .map((pid) => ({ pid, name: lines(`/proc/${pid}/comm`)[0] ?? '' }))
    .filter(({ name }) => programs.test(name))
    .map(({ pid, name }) => `${name} (${pid})`);
}

function names(dir: string): readonly string[] {
  try {
    return fs.readdirSync(dir);
  } catch {
    return [];
  }
}

function lines(file: string): readonly string[] {
  try {
    return fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}
