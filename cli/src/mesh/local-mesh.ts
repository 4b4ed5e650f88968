/** MeshClient over the supervisor of `meshctl dev`. */
import { DevClient, type DevPod, type ProxyResponse } from '@chainmail/local';
import { containers, messageOf, podPaths, ports, system, UserError } from '@chainmail/runtime';
import { workloadOf } from '../pod-reference.ts';
import { isInstance, type MeshClient, type MeshPod, podLabel } from './mesh-client.ts';

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

/** The body of a 200, or what the agent said instead. */
export function adminBody(pod: MeshPod, path: string, answer: Pick<ProxyResponse, 'status' | 'body'>): string {
  if (answer.status === 200) return answer.body;
  throw new UserError('AGENT_REFUSED', `the agent of ${podLabel(pod)} answered ${answer.status} to ${path}`, {
    hint: answer.body.trim().slice(0, 200),
  });
}

/** What a program in the agent's container printed, or how it ended. */
export function execOutput(
  pod: MeshPod,
  command: readonly string[],
  done: { readonly exitCode: number; readonly stdout: string; readonly stderr: string },
): string {
  if (done.exitCode === 0) return done.stdout;
  throw new UserError('AGENT_EXEC', `${command.join(' ')} in ${podLabel(pod)} ended with ${done.exitCode}`, {
    hint: done.stderr.trim().split('\n').at(-1) ?? '',
  });
}

/** @param name the local mesh's, as in `meshctl dev up --name` */
export function localMesh(name: string): MeshClient {
  const client = new DevClient(name);
  const ref = (pod: MeshPod): { namespace: string; pod: string } => ({ namespace: pod.namespace, pod: pod.name });
  return {
    where: `the local mesh ${name}`,
    pods: async () => (await client.status()).pods.filter((p) => !p.terminating).map(meshPod),
    async admin(pod, path) {
      const answer = await client.proxy(ref(pod), 'admin', path).catch((cause: unknown) => {
        throw new UserError('AGENT_UNREACHABLE', `the agent of ${podLabel(pod)} does not answer: ${messageOf(cause)}`, {
          hint: `is ${podPaths.adminSocket} there? meshctl logs -n ${pod.namespace} ${pod.name}`,
          cause,
        });
      });
      return adminBody(pod, path, answer);
    },
    async execAgent(pod, command) {
      return execOutput(pod, command, await client.exec({ ...ref(pod), container: containers.agent, command }));
    },
    instances: async (program) => {
      const { components } = await client.status();
      return components
        .filter((c) => c.name === program && c.state === 'running')
        .map(() => ({ program, name: program }));
    },
    async control(instance, path) {
      const at = { namespace: system.namespace, pod: instance.name };
      const unreachable = (why: string, cause?: unknown): UserError =>
        new UserError('CONTROL_UNREACHABLE', `${instance.name} does not answer ${path}: ${why}`, {
          hint: 'meshctl dev status, and meshctl logs control',
          cause,
        });
      const answer = await client.proxy(at, ports.controlMetrics, path).catch((cause: unknown) => {
        throw unreachable(messageOf(cause), cause);
      });
      if (answer.status !== 200) throw unreachable(`${answer.status} ${answer.body.trim()}`);
      return answer.body;
    },
    async logs(of, { container = containers.agent, tailLines, follow }, onData, signal) {
      const at = isInstance(of)
        ? { namespace: system.namespace, pod: of.name, tail: tailLines }
        : { ...ref(of), container, tail: tailLines };
      if (follow) return client.followLogs(at, onData, signal ?? new AbortController().signal);
      onData(Buffer.from(await client.logs(at)));
    },
    close: () => {},
  };
}
