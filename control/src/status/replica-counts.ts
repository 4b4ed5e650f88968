/**
 * What the other replicas' agents have, for the leader's statuses: an agent is connected to one replica only. Each
 * replica that does not lead writes its counts under its own name into one ConfigMap. Invariant: counts are believed for
 * a minute after they were seen to change, by our own clock, and only of the revision they were made from: the agents of
 * a replica that tells of another revision of an object, or not of it at all, have not acknowledged it.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, Reflector } from '@chainmail/kube/cluster';
import { type Clock, type Logger, messageOf, system, type Timer } from '@chainmail/runtime';
import type { ObjectStatus } from './status.ts';

export const countsConfigMap = 'chainmail-control-agents';

export interface AgentCounts {
  readonly agents: number;
  readonly acknowledged: number;
  /** An agent and what it refused, as a condition says it. */
  readonly rejection: string | undefined;
}

export interface Counts extends AgentCounts {
  /** Of the object, as {@link revisionOf} names it. */
  readonly revision: string;
}

/** All that one replica tells. */
export interface Told {
  /** Connected to it: what an object that it has not seen yet waits for. */
  readonly agents: number;
  readonly objects: ReadonlyMap<string, Counts>;
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

interface Parsed extends Told {
  /** There was no room for every object: nothing follows from one that is missing. */
  readonly isCut: boolean;
}

interface Heard {
  readonly text: string;
  readonly told: Parsed;
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

/** Also of an object that was deleted and made again, whose generations begin anew. */
export const revisionOf = ({ uid = '', generation = 0 }: ObjectStatus['metadata']): string => `${uid}/${generation}`;

/** A line about the replica, then one for each object: key, revision, agents, acknowledged, rejection. */
export function formatCounts({ agents, objects }: Told, beat: number, limitBytes = maxBytes): string {
  const lines: string[] = [];
  let bytes = 0;
  for (const [key, c] of objects) {
    const rejection = c.rejection === undefined ? [] : [c.rejection];
    const line = JSON.stringify([key, c.revision, c.agents, c.acknowledged, ...rejection]);
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > limitBytes) break;
    lines.push(line);
  }
  return [`#${beat} ${agents}${lines.length < objects.size ? ' cut' : ''}`, ...lines].join('\n');
}

const isCount = (v: unknown): v is number => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0;

/** A number is an earlier version's: never one of ours, but its agents count. */
const isRevision = (v: unknown): v is string | number => typeof v === 'string' || isCount(v);

/** What cannot be read is left out: it is another replica's, perhaps of another version. */
export function parseCounts(text: string): Parsed {
  const [, connected = '0', cut] = /^#\d+ (\d+)( cut)?$/m.exec(text) ?? [];
  const objects = new Map<string, Counts>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('[')) continue;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch {
      continue;
    }
    if (!Array.isArray(row)) continue;
    const [key, revision, agents, acknowledged, rejection] = row as unknown[];
    if (typeof key !== 'string' || !isRevision(revision) || !isCount(agents) || !isCount(acknowledged)) continue;
    const told = typeof rejection === 'string' ? rejection.slice(0, maxRejection) : undefined;
    const counts = { agents, acknowledged: Math.min(agents, acknowledged), rejection: told };
    objects.set(key, { ...counts, revision: String(revision) });
  }
  return { agents: Number(connected), objects, isCut: cut !== undefined };
}

export function countsOf(statuses: Iterable<ObjectStatus>): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const told of statuses) {
    const { agents, acknowledgedCount, rejected } = told.status.programmed;
    const [first] = rejected;
    counts.set(keyOf(told), {
      revision: revisionOf(told.metadata),
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
  #own: Told = { agents: 0, objects: new Map() };
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

  /** To be closed when no agent is connected any more: nobody waits for those that were. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#reflector.stop();
    if (this.#published === '') return;
    try {
      await this.#remove(this.#options.replica);
    } catch (error) {
      this.#options.log.info({ reason: messageOf(error) }, 'could not take back what others were told about agents');
    }
  }

  /** What this replica's agents have now. The leader keeps it to itself, since it writes the statuses. */
  tell(own: Told, leading: boolean): void {
    this.#own = own;
    this.#leading = leading;
    this.#schedule();
  }

  /** Of an object in this revision, what the agents of all other replicas have. */
  others(key: string, revision: string): AgentCounts {
    const nowMs = this.#options.clock.now();
    const sum = { agents: 0, acknowledged: 0, rejection: undefined as string | undefined };
    for (const [replica, { told, seenAtMs }] of this.#heard) {
      if (replica === this.#options.replica || nowMs - seenAtMs > believedForMs) continue;
      const counts = told.objects.get(key);
      if (counts === undefined && told.isCut) continue;
      sum.agents += counts?.agents ?? told.agents;
      if (counts?.revision !== revision) continue;
      sum.acknowledged += counts.acknowledged;
      sum.rejection ??= counts.rejection;
    }
    return sum;
  }

  #listen(): void {
    const nowMs = this.#options.clock.now();
    const texts = this.#reflector.get(`${namespace}/${countsConfigMap}`) ?? {};
    const next = new Map<string, Heard>();
    for (const [replica, text] of Object.entries(texts)) {
      const before = this.#heard.get(replica);
      next.set(replica, before?.text === text ? before : { text, told: parseCounts(text), seenAtMs: nowMs });
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
      await this.#remove(replica);
      return;
    }
  }

  async #remove(replica: string): Promise<void> {
    await this.#options.client.jsonPatch(path, [{ op: 'remove', path: `/data/${replica}` }], 'chainmail-control');
  }
}
