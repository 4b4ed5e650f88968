/** Reads all agents of the mesh again and again and gives the rows of the time in between. */
import type { Clock } from '@chainmail/runtime';
import { fromEach, type MeshClient, type MeshPod } from '../mesh/mesh-client.ts';
import { type AgentReading, readAgent, windowBetween } from './agent-reading.ts';
import { type StatRow, statRows } from './stat-rows.ts';

export class StatReader {
  readonly #mesh: MeshClient;
  readonly #clock: Clock;
  readonly #select: (pods: readonly MeshPod[]) => readonly MeshPod[];
  #before = new Map<string, AgentReading>();

  constructor(mesh: MeshClient, clock: Clock, select: (pods: readonly MeshPod[]) => readonly MeshPod[]) {
    this.#mesh = mesh;
    this.#clock = clock;
    this.#select = select;
  }

  /** The traffic since the last call; a pod's first reading has no window yet. */
  async next(): Promise<StatRow[]> {
    const pods = this.#select(await this.#mesh.pods());
    const meshed = await fromEach(
      pods.filter((p) => p.meshed),
      async (p) => readAgent(await this.#mesh.admin(p, '/stats/prometheus'), this.#clock.now()),
    );
    const now = new Map(meshed.flatMap((m) => (m.value === undefined ? [] : [[key(m.pod), m.value] as const])));
    const problems = new Map(meshed.map((m) => [key(m.pod), m.problem]));
    const rows = statRows(
      pods.map((pod) => {
        const reading = now.get(key(pod));
        const before = this.#before.get(key(pod));
        const problem = problems.get(key(pod));
        return {
          namespace: pod.namespace,
          workload: pod.workload,
          pod: pod.name,
          meshed: pod.meshed,
          window: reading === undefined || before === undefined ? null : windowBetween(before, reading),
          ...(problem === undefined ? {} : { problem }),
        };
      }),
    );
    this.#before = now;
    return rows;
  }
}

const key = (pod: MeshPod): string => `${pod.namespace}/${pod.name}`;
