/**
 * MeshClient over an API server. Agents are asked over a port-forward to their loopback, where nothing can be changed
 * (ADR 0022, 0035); only `certs export` runs a program.
 */
import type { ApiClient, ClusterAccess, PodContainer, PodStreams } from '@chainmail/kube/cluster';
import { containers, messageOf, ports, system, UserError } from '@chainmail/runtime';
import { listAll } from '../cluster/apply.ts';
import { listPath } from '../cluster/paths.ts';
import { isReady, type PodObject } from '../cluster/rollout.ts';
import { workloadOf } from '../pod-reference.ts';
import { adminBody, execOutput } from './local-mesh.ts';
import { type Instance, isInstance, type MeshClient, type MeshPod, type MeshProgram, podLabel } from './mesh-client.ts';

const names: Readonly<Record<MeshProgram, string>> = {
  ca: system.caServiceAccount,
  control: system.controlServiceAccount,
  injector: system.injectorServiceAccount,
};

interface Owned {
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly controller?: boolean }[];
}

/** The Deployment of its ReplicaSet, else its owner, else itself. */
function workloadOfPod({ metadata }: PodObject): string {
  const owner = (metadata as Owned).ownerReferences?.find((o) => o.controller === true);
  if (owner === undefined) return metadata.name ?? '';
  const hash = metadata.labels?.['pod-template-hash'];
  const end = `-${hash}`;
  return owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(end)
    ? owner.name.slice(0, -end.length)
    : owner.name;
}

const isOver = (pod: PodObject): boolean =>
  pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

export function meshPod(pod: PodObject): MeshPod {
  const { namespace = '', name = '' } = pod.metadata;
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return {
    namespace,
    name,
    workload: workloadOfPod(pod) || workloadOf(name),
    serviceAccount: pod.spec?.serviceAccountName ?? 'default',
    meshed: all.some((c) => c.name === containers.agent),
    ready: isReady(pod),
    ips: (pod.status?.podIPs ?? []).map((i) => i.ip),
  };
}

class ClusterMesh implements MeshClient {
  readonly #api: ApiClient;
  readonly #streams: PodStreams;

  constructor(api: ApiClient, streams: PodStreams) {
    this.#api = api;
    this.#streams = streams;
  }

  get where(): string {
    return `the cluster ${this.#api.server}`;
  }

  /** Pods of the mesh's own programs are not part of what it carries. */
  async pods(): Promise<readonly MeshPod[]> {
    const all: readonly PodObject[] = await listAll(this.#api, listPath('Pod'));
    const outside = new Set<string>([system.namespace, 'kube-system']);
    return all.filter((p) => !isOver(p) && !outside.has(p.metadata.namespace ?? '')).map(meshPod);
  }

  async admin(pod: MeshPod, path: string): Promise<string> {
    const at = { namespace: pod.namespace, pod: pod.name, port: ports.agentAdmin };
    const answer = await this.#streams.get(at, path).catch((cause: unknown) => {
      throw new UserError('AGENT_UNREACHABLE', `the agent of ${podLabel(pod)} does not answer: ${messageOf(cause)}`, {
        hint: `it needs the right to pods/portforward; meshctl logs -n ${pod.namespace} ${pod.name}`,
        cause,
      });
    });
    return adminBody(pod, path, answer);
  }

  async execAgent(pod: MeshPod, command: readonly string[]): Promise<string> {
    const at = { namespace: pod.namespace, pod: pod.name, container: containers.agent };
    const done = await this.#streams.exec(at, command).catch((cause: unknown) => {
      throw new UserError('AGENT_EXEC', `${command.join(' ')} in ${podLabel(pod)} could not be run`, {
        hint: `it needs the right to pods/exec: ${messageOf(cause)}`,
        cause,
      });
    });
    return execOutput(pod, command, done);
  }

  async instances(program: MeshProgram): Promise<readonly Instance[]> {
    const labelSelector = `app.kubernetes.io/name=${names[program]}`;
    const pods: readonly PodObject[] = await listAll(this.#api, listPath('Pod', system.namespace), { labelSelector });
    return pods
      .filter((p) => !isOver(p) && p.status?.phase === 'Running')
      .map((p) => ({ program, name: p.metadata.name ?? '' }));
  }

  async control(instance: Instance, path: string): Promise<string> {
    const unreachable = (why: string, cause?: unknown): UserError =>
      new UserError('CONTROL_UNREACHABLE', `${instance.name} does not answer ${path}: ${why}`, {
        hint: 'meshctl check, and meshctl logs control',
        cause,
      });
    const at = { namespace: system.namespace, pod: instance.name, port: ports.controlMetrics };
    const answer = await this.#streams.get(at, path).catch((cause: unknown) => {
      throw unreachable(messageOf(cause), cause);
    });
    if (answer.status !== 200) throw unreachable(`${answer.status} ${answer.body.trim()}`);
    return answer.body;
  }

  async logs(
    of: Instance | MeshPod,
    options: Parameters<MeshClient['logs']>[1],
    onData: (data: Buffer) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const { container = containers.agent, tailLines, follow } = options;
    const at: PodContainer = isInstance(of)
      ? { namespace: system.namespace, pod: of.name, container: of.program }
      : { namespace: of.namespace, pod: of.name, container };
    await this.#streams.log(at, { tailLines, follow }, onData, signal).catch((cause: unknown) => {
      throw new UserError('LOG_UNREADABLE', messageOf(cause), { hint: "the words are the API server's", cause });
    });
  }

  close(): void {
    this.#api.close();
  }
}

/** @throws UserError KUBE_CREDENTIALS */
export async function clusterMesh(access: ClusterAccess): Promise<MeshClient> {
  const cluster = await import('@chainmail/kube/cluster');
  return new ClusterMesh(new cluster.ApiClient(access), new cluster.PodStreams(access));
}
