/**
 * Statuses on an API server, by server-side apply of the leading replica. Invariant: what stands there already is not
 * written again, a condition keeps its lastTransitionTime while its status is the same, and what other controllers
 * wrote into an HTTPRoute stays.
 */
import { isRecord, type KubeObject } from '@chainmail/kube';
import { type ApiClient, isConflict, isNotFound } from '@chainmail/kube/cluster';
import { Backoff, type Clock, type Logger, messageOf, Passes, type Timer } from '@chainmail/runtime';
import type { KubeSource, Live } from '../source/kube-source.ts';
import { type AgentCounts, countsOf, type ReplicaCounts, revisionOf } from './replica-counts.ts';
import { type Condition, type ObjectStatus, reported, type StatusSink } from './status.ts';

export const fieldManager = 'chainmail-control';
export const controllerName = 'chainmail.dev/control';

export interface KubeStatusOptions {
  readonly client: Pick<ApiClient, 'apply'>;
  readonly source: Pick<KubeSource, 'live' | 'took'>;
  readonly isLeader: () => boolean;
  /** Agents of other replicas; absent where there is one replica. */
  readonly replicas?: Pick<ReplicaCounts, 'tell' | 'others'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface KubeCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
}

const resources: Readonly<Record<string, string>> = {
  MeshPolicy: '/apis/chainmail.dev/v1alpha1/namespaces/NS/meshpolicies',
  SecurityPolicy: '/apis/chainmail.dev/v1alpha1/namespaces/NS/securitypolicies',
  BackendTrafficPolicy: '/apis/chainmail.dev/v1alpha1/namespaces/NS/backendtrafficpolicies',
  HTTPRoute: '/apis/gateway.networking.k8s.io/v1/namespaces/NS/httproutes',
};

/** As metav1.Condition bounds it. */
const maxMessage = 32_768;
const maxProblems = 16;
const parallel = 4;

/** The conditions of a status as it stands on the server. */
function heldConditions(value: unknown): readonly Record<string, unknown>[] {
  return isRecord(value) && Array.isArray(value['conditions']) ? value['conditions'].filter(isRecord) : [];
}

/** RFC 3339 in seconds, as metav1.Time. */
const timeText = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

export function conditionsOf(
  wanted: readonly Condition[],
  held: unknown,
  generation: number | undefined,
  nowMs: number,
): KubeCondition[] {
  const before = heldConditions(held);
  return wanted.map(({ type, status, reason, message }) => {
    const old = before.find((c) => c['type'] === type && c['status'] === status)?.['lastTransitionTime'];
    return {
      ...{ type, status, reason, message: message.slice(0, maxMessage) },
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime: typeof old === 'string' ? old : timeText(nowMs),
    };
  });
}

const ourParents = (live: Live): readonly unknown[] => {
  const spec = (live.object as { spec?: unknown }).spec;
  const all = isRecord(spec) && Array.isArray(spec['parentRefs']) ? spec['parentRefs'] : [];
  return all.filter((p: unknown) => isRecord(p) && p['kind'] === 'Service');
};

/** `parents` is one atomic list of all controllers: theirs are taken over as they stand. */
function routeStatus(live: Live, told: ObjectStatus, nowMs: number): object {
  const held = isRecord(live.status) && Array.isArray(live.status['parents']) ? live.status['parents'] : [];
  const others = held.filter((p: unknown) => isRecord(p) && p['controllerName'] !== controllerName);
  const ours = held.filter((p: unknown) => isRecord(p) && p['controllerName'] === controllerName);
  const { generation } = told.metadata;
  const mine = ourParents(live).map((parentRef) => {
    const before = ours.find((p: unknown) => isRecord(p) && sameRef(p['parentRef'], parentRef));
    return { parentRef, controllerName, conditions: conditionsOf(told.status.conditions, before, generation, nowMs) };
  });
  return { parents: [...others, ...mine] };
}

/** The server fills in defaults: group and kind of a parent are ours to write, so only what we read is compared. */
function sameRef(a: unknown, b: unknown): boolean {
  if (!isRecord(a) || !isRecord(b)) return false;
  return ['kind', 'name', 'namespace', 'sectionName', 'port'].every((f) => a[f] === b[f]);
}

function policyStatus(live: Live, told: ObjectStatus, nowMs: number): object {
  const { conditions, problems = [], programmed } = told.status;
  return {
    conditions: conditionsOf(conditions, live.status, told.metadata.generation, nowMs),
    agents: programmed.agents,
    acknowledged: programmed.acknowledgedCount,
    problems: problems.slice(0, maxProblems).map((p) => p.reason.slice(0, 1024)),
  };
}

/** Programmed over the agents of all replicas. */
function programmedBy(total: AgentCounts): Condition {
  const { agents, acknowledged, rejection } = total;
  if (rejection !== undefined) return { type: 'Programmed', status: 'False', reason: 'Rejected', message: rejection };
  if (acknowledged >= agents) {
    return { type: 'Programmed', status: 'True', reason: 'Programmed', message: `${agents} agents acknowledged` };
  }
  const message = `${agents - acknowledged} of ${agents} agents have not acknowledged yet`;
  return { type: 'Programmed', status: 'False', reason: 'Pending', message };
}

/** The status as it is with the agents of other replicas. */
export function withOthers(told: ObjectStatus, others: AgentCounts): ObjectStatus {
  if (others.agents === 0) return told;
  const { programmed, conditions } = told.status;
  const [own] = countsOf([told]).values();
  const agents = programmed.agents + others.agents;
  const acknowledged = programmed.acknowledgedCount + others.acknowledged;
  const rejection = own?.rejection ?? others.rejection;
  const overall = programmedBy({ agents, acknowledged, rejection });
  return {
    ...told,
    status: {
      ...told.status,
      conditions: conditions.map((c) => (c.type === 'Programmed' ? overall : c)),
      programmed: { ...programmed, agents, acknowledgedCount: acknowledged },
    },
  };
}

/** What the object's status should be. */
export function desiredStatus(live: Live, told: ObjectStatus, nowMs: number): object {
  return told.kind === 'HTTPRoute' ? routeStatus(live, told, nowMs) : policyStatus(live, told, nowMs);
}

/** Equal whatever the order of fields: the server has its own. */
function isEqual(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((v, i) => isEqual(v, b[i]));
  if (!isRecord(a) || !isRecord(b)) return a === b;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((n) => isEqual(a[n], b[n]));
}

export class KubeStatus implements StatusSink {
  /** A roll-out acknowledges pod by pod: one write for many of them. */
  readonly settleMs = 500;
  readonly #options: KubeStatusOptions;
  readonly #backoff = new Backoff({ baseMs: 500, maxMs: 30_000 });
  #wanted: ReadonlyMap<string, ObjectStatus> = new Map();
  readonly #passes = new Passes(() => this.#pass());
  #retry: Timer | undefined;
  #closed = false;
  readonly counts = { written: 0, failed: 0 };

  constructor(options: KubeStatusOptions) {
    this.#options = options;
  }

  write(statuses: ReadonlyMap<string, ObjectStatus>, agents: number): void {
    this.#wanted = statuses;
    const own = [...statuses.values()].filter((s) => reported.has(s.kind));
    this.#options.replicas?.tell({ agents, objects: countsOf(own) }, this.#options.isLeader());
    this.#passes.ask();
  }

  /** Other replicas have told something: the leader writes again where that changes a status. */
  again(): void {
    if (this.#options.isLeader()) this.#passes.ask();
  }

  close(): void {
    this.#closed = true;
    this.#passes.close();
    this.#retry?.cancel();
  }

  async #pass(): Promise<void> {
    const queue = [...this.#wanted.values()].filter((s) => reported.has(s.kind));
    let failed = false;
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined && !this.#passes.isAskedAgain; next = queue.pop()) {
        if (this.#closed || !this.#options.isLeader()) return;
        if (!(await this.#put(next))) failed = true;
      }
    };
    await Promise.all(Array.from({ length: parallel }, work));
    if (!failed) this.#backoff.reset();
    else this.#retryLater();
  }

  #retryLater(): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#retry = this.#options.clock.after(this.#backoff.next(), () => {
      this.#retry = undefined;
      this.#passes.ask();
    });
  }

  /** False when it has to be tried again. */
  async #put(own: ObjectStatus): Promise<boolean> {
    const { client, source, clock, log, replicas } = this.#options;
    const { kind, apiVersion } = own;
    const { namespace = '', name } = own.metadata;
    const key = `${kind}/${namespace}/${name}`;
    const told = replicas === undefined ? own : withOthers(own, replicas.others(key, revisionOf(own.metadata)));
    const live = source.live(key);
    const base = resources[kind];
    if (live === undefined || base === undefined) return true; // gone meanwhile
    const status = desiredStatus(live, told, clock.now());
    if (isEqual(status, live.status)) return true;
    const path = `${base.replace('NS', namespace)}/${name}/status`;
    // The version guards the list that others write into; a policy's status is ours alone.
    const guard = kind === 'HTTPRoute' ? { resourceVersion: live.version } : {};
    try {
      const body = { apiVersion, kind, metadata: { namespace, name, ...guard }, status };
      const answer = await client.apply(path, body, fieldManager);
      source.took(key, liveOf(answer, live));
      this.counts.written++;
      return true;
    } catch (error) {
      if (isNotFound(error)) return true;
      this.counts.failed++;
      if (!isConflict(error)) log.warn({ object: key, reason: messageOf(error) }, 'could not write a status');
      return false;
    }
  }
}

function liveOf(answer: KubeObject, before: Live): Live {
  const { status } = answer as { status?: unknown };
  return { object: before.object, version: answer.metadata?.resourceVersion ?? before.version, status };
}
