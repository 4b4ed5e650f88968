/**
 * The mesh as meshctl's commands see it, wherever it runs: its pods, each agent's admin interface and programs, logs,
 * and what control says. One contract suite (test/mesh-client) holds `meshctl dev` and Kubernetes to the same.
 */
import { messageOf } from '@chainmail/runtime';

export interface MeshPod {
  readonly namespace: string;
  readonly name: string;
  /** The Deployment it belongs to, or its own name. */
  readonly workload: string;
  readonly serviceAccount: string;
  readonly meshed: boolean;
  readonly ready: boolean;
  readonly ips: readonly string[];
}

export const programs = ['ca', 'control', 'injector'] as const;
export type MeshProgram = (typeof programs)[number];

/** One running process of the mesh: a pod on Kubernetes, a component under `meshctl dev`. */
export interface Instance {
  readonly program: MeshProgram;
  readonly name: string;
}

export interface LogOptions {
  /** The agent's by default. */
  readonly container?: string;
  readonly tailLines: number;
  readonly follow: boolean;
}

export interface MeshClient {
  /** For messages: `the local mesh dev`, `the cluster https://...`. */
  readonly where: string;
  pods(): Promise<readonly MeshPod[]>;
  /** GET on the admin interface of the pod's agent. @throws UserError AGENT_UNREACHABLE, AGENT_REFUSED */
  admin(pod: MeshPod, path: string): Promise<string>;
  /** Runs a program of the agent's container and returns its output. @throws UserError AGENT_EXEC */
  execAgent(pod: MeshPod, command: readonly string[]): Promise<string>;
  instances(program: MeshProgram): Promise<readonly Instance[]>;
  /** GET on the metrics port of one control process. @throws UserError CONTROL_UNREACHABLE */
  control(instance: Instance, path: string): Promise<string>;
  /** A container's or a process' log as it is, to the end or until the signal aborts. @throws UserError LOG_UNREADABLE */
  logs(
    of: Instance | MeshPod,
    options: LogOptions,
    onData: (data: Buffer) => void,
    signal?: AbortSignal,
  ): Promise<void>;
  close(): void;
}

export const isInstance = (of: Instance | MeshPod): of is Instance => 'program' in of;

export const podLabel = (pod: { readonly namespace: string; readonly name: string }): string =>
  `${pod.namespace}/${pod.name}`;

/** Each costs an API server a stream of its own. */
const atOnce = 16;

/** Asks each pod's agent, some at a time; what fails becomes a problem of that pod, not of the command. */
export async function fromEach<T>(
  pods: readonly MeshPod[],
  ask: (pod: MeshPod) => Promise<T>,
): Promise<readonly { readonly pod: MeshPod; readonly value?: T; readonly problem?: string }[]> {
  const answers: { readonly pod: MeshPod; readonly value?: T; readonly problem?: string }[] = [];
  const waiting = [...pods.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [i, pod] = next;
      answers[i] = await ask(pod).then(
        (value) => ({ pod, value }),
        (error: unknown) => ({ pod, problem: messageOf(error) }),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, pods.length) }, worker));
  return answers;
}
