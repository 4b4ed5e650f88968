/**
 * What the other replicas' agents have, for the leader's statuses: an agent is connected to one replica only. Each
 * replica that does not lead writes its counts under its own name into one ConfigMap. Invariant: counts are believed for
 * a minute after they were seen to change, by our own clock; of an older generation they count as not acknowledged.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, Reflector } from '@chainmail/kube/cluster';
import { type Clock, type Logger, messageOf, system, type Timer } from '@chainmail/runtime';
import type { ObjectStatus } from './status.ts';

export const countsConfigMap = 'chainmail-control-agents';

export interface Counts {
  readonly generation: number;
  readonly agents: number;
  readonly acknowledged: number;
  /** An agent and what it refused, as a condition says it. */
  readonly rejection: string | undefined;
}

export interface ReplicaCountsOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch' | 'apply' | 'jsonPatch'>;
  /** The name of this replica: its pod's. */
  readonly replica: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly log: Logger;
  readonly onChange: () => void;
}

interface Heard {
  readonly text: string;
  readonly counts: ReadonlyMap<string, Counts>;
  readonly seenAtMs: number;
}

const namespace = system.namespace;
const list = `/api/v1/namespaces/${namespace}/configmaps`;
const path = `${list}/${countsConfigMap}`;
/** Not more often than this, and at least every heartbeat: other replicas forget what is older than a minute. */
const publishEveryMs = 2000;
const heartbeatMs = 20_000;
const believedForMs = 60_000;
const removeAfterMs = 600_000;
/** All replicas share 1 MiB. */
const maxBytes = 200_000;
const maxRejection = 300;

const keyOf = ({ kind, metadata }: ObjectStatus): string => `${kind}/${metadata.namespace ?? ''}/${metadata.name}`;

/** One line for each object: key, generation, agents, acknowledged, rejection. */
export function formatCounts(counts: ReadonlyMap<string, Counts>, beat: number): string {
  const lines = [`#${beat}`];
  let bytes = 0;
  for (const [key, { generation, agents, acknowledged, rejection }] of counts) {
    const line = JSON.stringify([
      key,
      generation,
      agents,
      acknowledged,
      ...(rejection === undefined ? [] : [rejection]),
    ]);
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > maxBytes) break;
    lines.push(line);
  }
  return lines.join('\n');
}

const isCount = (v: unknown): v is number => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0;

/** What cannot be read is left out: it is another replica's, perhaps of another version. */
export function parseCounts(text: string): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('[')) continue;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch {
      continue;
    }
    if (!Array.isArray(row)) continue;
    const [key, generation, agents, acknowledged, rejection] = row as unknown[];
    if (typeof key !== 'string' || !isCount(generation) || !isCount(agents) || !isCount(acknowledged)) continue;
    const told = typeof rejection === 'string' ? rejection.slice(0, maxRejection) : undefined;
    counts.set(key, { generation, agents, acknowledged: Math.min(agents, acknowledged), rejection: told });
  }
  return counts;
}

export function countsOf(statuses: Iterable<ObjectStatus>): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const told of statuses) {
    const { agents, acknowledgedCount, rejected } = told.status.programmed;
    const [first] = rejected;
    counts.set(keyOf(told), {
      generation: told.metadata.generation ?? 0,
      agents,
      acknowledged: acknowledgedCount,
      rejection:
        first === undefined
          ? undefined
          : `${first.agent} refused a ${first.type}: ${first.reason}`.slice(0, maxRejection),
    });
  }
  return counts;
}

function textsOf(object: KubeObject): Record<string, string> {
  const { data } = object as { data?: unknown };
  const entries = isRecord(data) ? Object.entries(data) : [];
  return Object.fromEntries(entries.filter((e): e is [string, string] => typeof e[1] === 'string'));
}

export class ReplicaCounts {
  readonly #options: ReplicaCountsOptions;
  readonly #reflector: Reflector<Record<string, string>>;
  #heard = new Map<string, Heard>();
  #own: ReadonlyMap<string, Counts> = new Map();
  #published = '';
  #publishedAtMs = Number.NEGATIVE_INFINITY;
  #beat = 0;
  #leading = true;
  #timer: Timer | undefined;
  #busy = false;
  #closed = false;

  constructor(options: ReplicaCountsOptions) {
    this.#options = options;
    const { client, clock, log } = options;
    this.#reflector = new Reflector({
      ...{ client, clock, log, path: list, project: textsOf },
      ...(options.random === undefined ? {} : { random: options.random }),
      fieldSelector: `metadata.name=${countsConfigMap}`,
      onChange: () => this.#listen(),
    });
  }

  start(): void {
    this.#reflector.start();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#reflector.stop();
  }

  /** What this replica's agents have now. The leader keeps it to itself, since it writes the statuses. */
  tell(counts: ReadonlyMap<string, Counts>, leading: boolean): void {
    this.#own = counts;
    this.#leading = leading;
    this.#schedule();
  }

  /** Of an object in this generation, what the agents of all other replicas have. */
  others(key: string, generation: number): Counts {
    const nowMs = this.#options.clock.now();
    const sum = { generation, agents: 0, acknowledged: 0, rejection: undefined as string | undefined };
    for (const [replica, { counts, seenAtMs }] of this.#heard) {
      if (replica === this.#options.replica || nowMs - seenAtMs > believedForMs) continue;
      const told = counts.get(key);
      if (told === undefined) continue;
      sum.agents += told.agents;
      if (told.generation !== generation) continue;
      sum.acknowledged += told.acknowledged;
      sum.rejection ??= told.rejection;
    }
    return sum;
  }

  #listen(): void {
    const nowMs = this.#options.clock.now();
    const texts = this.#reflector.get(`${namespace}/${countsConfigMap}`) ?? {};
    const next = new Map<string, Heard>();
    for (const [replica, text] of Object.entries(texts)) {
      const before = this.#heard.get(replica);
      next.set(replica, before?.text === text ? before : { text, counts: parseCounts(text), seenAtMs: nowMs });
    }
    this.#heard = next;
    this.#options.onChange();
  }

  #schedule(): void {
    if (this.#closed || this.#timer !== undefined) return;
    const { clock } = this.#options;
    const changed = formatCounts(this.#own, 0) !== this.#published;
    const wait = this.#publishedAtMs + (changed ? publishEveryMs : heartbeatMs) - clock.now();
    this.#timer = clock.after(Math.max(0, wait), () => {
      this.#timer = undefined;
      void this.#publish();
    });
  }

  async #publish(): Promise<void> {
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    const { client, replica, clock, log } = this.#options;
    this.#publishedAtMs = clock.now();
    try {
      if (this.#leading) await this.#removeOld();
      else {
        const text = formatCounts(this.#own, ++this.#beat);
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: countsConfigMap, namespace } };
        await client.apply(path, { ...body, data: { [replica]: text } }, `chainmail-control-${replica}`);
        this.#published = formatCounts(this.#own, 0);
      }
    } catch (error) {
      log.info({ reason: messageOf(error) }, 'could not tell the other replicas about agents');
    }
    this.#busy = false;
    this.#schedule();
  }

  /** Replicas that are no more. */
  async #removeOld(): Promise<void> {
    const nowMs = this.#options.clock.now();
    for (const [replica, { seenAtMs }] of this.#heard) {
      if (nowMs - seenAtMs < removeAfterMs) continue;
      await this.#options.client.jsonPatch(path, [{ op: 'remove', path: `/data/${replica}` }], 'chainmail-control');
      return;
    }
  }
}
