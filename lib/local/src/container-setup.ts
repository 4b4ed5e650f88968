/** From a container's spec to the Launch that runs it: user, capabilities, mounts, command, environment. Pure. */
import { UserError } from '@chainmail/runtime';
import { expand } from './container-env.ts';
import { type Image, nodeFolder, repositoryMount } from './images.ts';
import type { Bind, Launch } from './launch-script.ts';
import type { Container, NamedPod, Volume, VolumeMount } from './pod.ts';
import { isSafePath } from './volume-content.ts';

/** What container runtimes leave to a container by default. */
const defaultCapabilities = [
  ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap'],
  ...['net_bind_service', 'net_raw', 'sys_chroot', 'mknod', 'audit_write', 'setfcap'],
];

const capabilityName = (name: string): string => name.toLowerCase().replace(/^cap_/, '');

export function capabilitiesOf(container: Container): readonly string[] | 'all' {
  const { privileged, capabilities } = container.securityContext ?? {};
  if (privileged === true) return 'all';
  const drop = new Set((capabilities?.drop ?? []).map(capabilityName));
  const add = (capabilities?.add ?? []).map(capabilityName);
  if (add.includes('all')) return 'all';
  const kept = drop.has('all') ? [] : defaultCapabilities.filter((c) => !drop.has(c));
  return [...new Set([...kept, ...add])];
}

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export function userOf(pod: NamedPod, container: Container): User {
  const own = container.securityContext;
  const shared = pod.spec.securityContext;
  const uid = own?.runAsUser ?? shared?.runAsUser ?? 0;
  if ((own?.runAsNonRoot ?? shared?.runAsNonRoot) === true && uid === 0) {
    throw new UserError(
      'LOCAL_RUN_AS_NON_ROOT',
      `container ${container.name}: runAsNonRoot, but it would run as uid 0`,
      {
        hint: 'set securityContext.runAsUser: there is no image here that could say which user',
      },
    );
  }
  const groups = [...(shared?.supplementalGroups ?? []), ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup])];
  return { uid, gid: own?.runAsGroup ?? shared?.runAsGroup ?? 0, groups };
}

export interface SetupPaths {
  readonly scratch: string;
  /** Folder with resolv.conf, hosts, hostname of the pod. */
  readonly etc: string;
  readonly volume: (name: string) => string;
  readonly repository: string;
  readonly hostMounts: readonly string[];
}

function volumeBind(mount: VolumeMount, volume: Volume | undefined, container: Container, paths: SetupPaths): Bind {
  const where = `container ${container.name} volumeMount ${mount.name}`;
  if (volume === undefined) throw new UserError('LOCAL_VOLUME_MOUNT', `${where}: the pod has no such volume`);
  if (!mount.mountPath.startsWith('/') || mount.mountPath.split('/').includes('..')) {
    throw new UserError('LOCAL_VOLUME_MOUNT', `${where}: mountPath ${mount.mountPath} is not an absolute path`);
  }
  if (mount.subPath !== undefined && !isSafePath(mount.subPath)) {
    throw new UserError('LOCAL_VOLUME_MOUNT', `${where}: subPath ${mount.subPath} leaves the volume`);
  }
  const host = volume.hostPath;
  const base = host?.path ?? paths.volume(mount.name);
  const source = mount.subPath === undefined ? base : `${base}/${mount.subPath}`;
  const file = host?.type === 'File' || (mount.subPath !== undefined && volume.emptyDir === undefined);
  const content = host !== undefined || volume.emptyDir === undefined;
  return { source, target: mount.mountPath, readOnly: mount.readOnly === true || content, file };
}

export function runtimeEnv(pod: NamedPod, uid: number): Record<string, string> {
  return {
    PATH: [
      `${repositoryMount}/${nodeFolder()}`,
      '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      `${repositoryMount}/node_modules/.bin`, // chainmail-agent, for `exec` in its container
    ].join(':'),
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name,
    HOME: uid === 0 ? '/root' : '/',
  };
}

export function launchOf(
  pod: NamedPod,
  container: Container,
  image: Image,
  paths: SetupPaths,
  env: Readonly<Record<string, string>>,
): Launch {
  const user = userOf(pod, container);
  const volumes = (container.volumeMounts ?? []).map((m) =>
    volumeBind(
      m,
      pod.spec.volumes?.find((v) => v.name === m.name),
      container,
      paths,
    ),
  );
  const repository: Bind = { source: paths.repository, target: repositoryMount, readOnly: true, file: false };
  return {
    scratch: paths.scratch,
    hostname: pod.spec.hostname ?? pod.metadata.name,
    copies: ['resolv.conf', 'hosts', 'hostname'].map((f) => ({ source: `${paths.etc}/${f}`, target: `/etc/${f}` })),
    binds: [repository, ...image.binds, ...volumes],
    hostMounts: paths.hostMounts,
    workingDir: container.workingDir ?? image.workingDir,
    ...user,
    capabilities: capabilitiesOf(container),
    noNewPrivileges: container.securityContext?.allowPrivilegeEscalation === false,
    readOnlyRoot: container.securityContext?.readOnlyRootFilesystem === true,
    command: image.argv.map((a) => expand(a, env)),
  };
}
