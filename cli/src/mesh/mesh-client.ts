/**
 * The mesh as meshctl's commands see it, wherever it runs: its pods, and each agent's admin interface and programs.
 * One implementation for `meshctl dev`; a cluster's will be another behind the same interface.
 */
import { DevClient, type DevPod } from '@chainmail/local';
import { containers, messageOf, podPaths, UserError } from '@chainmail/runtime';
import { workloadOf } from '../pod-reference.ts';

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

export interface MeshClient {
  pods(): Promise<readonly MeshPod[]>;
  /** GET on the admin interface of the pod's agent. @throws UserError AGENT_UNREACHABLE, AGENT_REFUSED */
  admin(pod: MeshPod, path: string): Promise<string>;
  /** Runs a program of the agent's container and returns its output. @throws UserError AGENT_EXEC */
  execAgent(pod: MeshPod, command: readonly string[]): Promise<string>;
}

function meshPod(pod: DevPod): MeshPod {
  return {
    namespace: pod.namespace,
    name: pod.name,
    workload: workloadOf(pod.name),
    serviceAccount: pod.serviceAccount,
    meshed: pod.containerNames.includes(containers.agent),
    ready: pod.ready,
    ips: pod.ips,
  };
}

/** @param name the local mesh's, as in `meshctl dev up --name` */
export function localMesh(name: string): MeshClient {
  const client = new DevClient(name);
  const ref = (pod: MeshPod): { namespace: string; pod: string } => ({ namespace: pod.namespace, pod: pod.name });
  const label = (pod: MeshPod): string => `${pod.namespace}/${pod.name}`;
  return {
    pods: async () => (await client.status()).pods.filter((p) => !p.terminating).map(meshPod),
    async admin(pod, path) {
      const answer = await client.proxy(ref(pod), 'admin', path).catch((cause: unknown) => {
        throw new UserError('AGENT_UNREACHABLE', `the agent of ${label(pod)} does not answer: ${messageOf(cause)}`, {
          hint: `is ${podPaths.adminSocket} there? meshctl dev logs -n ${pod.namespace} ${pod.name} -c ${containers.agent}`,
          cause,
        });
      });
      if (answer.status === 200) return answer.body;
      throw new UserError('AGENT_REFUSED', `the agent of ${label(pod)} answered ${answer.status} to ${path}`, {
        hint: answer.body.trim().slice(0, 200),
      });
    },
    async execAgent(pod, command) {
      const done = await client.exec({ ...ref(pod), container: containers.agent, command });
      if (done.exitCode === 0) return done.stdout;
      throw new UserError('AGENT_EXEC', `${command.join(' ')} in ${label(pod)} ended with ${done.exitCode}`, {
        hint: done.stderr.trim().split('\n').at(-1) ?? '',
      });
    },
  };
}

/** Calls each pod's agent side by side; what fails becomes a problem of that pod, not of the command. */
export async function fromEach<T>(
  pods: readonly MeshPod[],
  ask: (pod: MeshPod) => Promise<T>,
): Promise<readonly { readonly pod: MeshPod; readonly value?: T; readonly problem?: string }[]> {
  return Promise.all(
    pods.map(async (pod) => {
      try {
        return { pod, value: await ask(pod) };
      } catch (error) {
        return { pod, problem: messageOf(error) };
      }
    }),
  );
}
