/** What became of each object a user wrote, as Kubernetes conditions with file and line, and which agents have it. */
import type { ObjectProblem } from '@chainmail/kube';
import type { PolicyIssue } from '../model/policy-index.ts';
import type { World } from '../model/world.ts';
import type { ObjectRecord } from '../store/object-store.ts';
import { needsHttp } from '../translate/authorization.ts';
import { routeIssues } from '../translate/route-model.ts';
import type { Agent } from '../xds/fleet.ts';

export interface Condition {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'Programmed';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
}

export interface ObjectStatus {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
    readonly generation?: number;
  };
  readonly status: {
    readonly conditions: readonly Condition[];
    readonly problems?: readonly { readonly file: string; readonly line: number; readonly reason: string }[];
    readonly programmed: Programmed;
  };
}

export interface Programmed {
  readonly agents: number;
  /** All of them, where the list is cut. */
  readonly acknowledgedCount: number;
  readonly acknowledged: readonly string[];
  readonly waiting: readonly string[];
  readonly rejected: readonly { readonly agent: string; readonly type: string; readonly reason: string }[];
}

/** Names listed before a list is cut: a status is for people. */
const maxListed = 100;

const maxNoted = 10;

const apiVersions: Readonly<Record<string, string>> = {
  MeshPolicy: 'chainmail.dev/v1alpha1',
  SecurityPolicy: 'chainmail.dev/v1alpha1',
  BackendTrafficPolicy: 'chainmail.dev/v1alpha1',
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Deployment: 'apps/v1',
};

/** Where statuses are told. */
export interface StatusSink {
  /** How long to wait for more changes before telling. */
  readonly settleMs: number;
  /** The statuses of all objects that have one, and how many agents there are. */
  write(statuses: ReadonlyMap<string, ObjectStatus>, agents: number): void;
}

/** Kinds whose status is always written; of others only a broken object's. */
export const reported: ReadonlySet<string> = new Set([
  'MeshPolicy',
  'SecurityPolicy',
  'BackendTrafficPolicy',
  'HTTPRoute',
]);

/** Agents that have settled on a snapshot at least as new as the revision, those that have not, those that refuse. */
export function programmed(agents: readonly Agent[], revision: number): Programmed {
  const acknowledged: string[] = [];
  const waiting: string[] = [];
  const rejected: { agent: string; type: string; reason: string }[] = [];
  for (const agent of agents) {
    const refusals = agent.stream.types.flatMap((t) => t.rejection ?? []);
    rejected.push(...refusals.map((r) => ({ agent: agent.pod, type: r.type, reason: r.reason })));
    if (refusals.length > 0) continue;
    (agent.stream.settled && agent.revision >= revision ? acknowledged : waiting).push(agent.pod);
  }
  const cut = (names: string[]): string[] => [...new Set(names)].sort().slice(0, maxListed);
  return {
    agents: agents.length,
    acknowledgedCount: new Set(acknowledged).size,
    acknowledged: cut(acknowledged),
    waiting: cut(waiting),
    rejected: rejected.slice(0, maxListed),
  };
}

const at = (p: ObjectProblem): Pick<Condition, 'file' | 'line'> => ({ file: p.origin.file, line: p.origin.line });

/** Ports on which a policy about requests is in force without seeing any: worth a word, since it denies more there. */
function opaqueNote(record: ObjectRecord, world: World): string {
  const { namespace = '', name } = record;
  if (record.kind !== 'SecurityPolicy') return '';
  const found = [...world.policies.security].flatMap(([place, entry]) => {
    const { metadata } = entry.kind === 'policy' ? entry.policy : { metadata: undefined };
    if (metadata?.name !== name || metadata.namespace !== namespace) return [];
    const [key = '', section] = place.split('#');
    return [...world.services.values()]
      .filter((s) => s.key === key || s.namespace === key)
      .flatMap((s) => s.ports.map((port) => ({ s, port })))
      .filter(({ port }) => port.protocol === 'tcp' && (section === undefined || port.name === section))
      .filter(({ port }) => needsHttp(entry, port.port))
      .map(({ s, port }) => `${s.key}:${port.port}`);
  });
  if (found.length === 0) return '';
  const ports = [...new Set(found)].sort().slice(0, maxNoted).join(', ');
  return `; on opaque ports (${ports}) its HTTP conditions allow nothing, and its Deny rules hold without them`;
}

function accepted(record: ObjectRecord, issues: readonly PolicyIssue[], world: World): Condition {
  const [problem] = record.problems;
  if (problem !== undefined) {
    const outcome = record.keepsLastGood
      ? '; its last good state stays in force'
      : record.kind === 'SecurityPolicy' || record.deniesMeanwhile
        ? '; what it covers is denied until it is mended'
        : '';
    const message = `${problem.reason}${outcome}`;
    return { type: 'Accepted', status: 'False', reason: 'Invalid', message, ...at(problem) };
  }
  const origin = { file: record.origin.file, line: record.origin.line };
  const conflict = issues.find((i) => i.reason === 'Conflicted');
  if (conflict !== undefined) {
    return { type: 'Accepted', status: 'False', reason: 'Conflicted', message: conflict.message, ...origin };
  }
  const lost = issues.find((i) => i.reason === 'TargetNotFound');
  if (lost !== undefined) {
    return { type: 'Accepted', status: 'False', reason: 'TargetNotFound', message: lost.message, ...origin };
  }
  const message = `in force${opaqueNote(record, world)}`;
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message, ...origin };
}

function resolved(record: ObjectRecord, world: World): Condition[] {
  if (record.kind !== 'HTTPRoute') return [];
  const route = world.routes.find((r) => r.metadata.namespace === record.namespace && r.metadata.name === record.name);
  if (route === undefined) return [];
  const [issue] = routeIssues(route, world);
  return [
    issue === undefined
      ? { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: 'every parent and backend exists' }
      : { type: 'ResolvedRefs', status: 'False', reason: issue.reason, message: issue.message },
  ];
}

function programmedCondition(p: Programmed): Condition {
  const [refusal] = p.rejected;
  if (refusal !== undefined) {
    const message = `${refusal.agent} refused a ${refusal.type}: ${refusal.reason}`;
    return { type: 'Programmed', status: 'False', reason: 'Rejected', message };
  }
  if (p.waiting.length > 0) {
    const message = `${p.waiting.length} of ${p.agents} agents have not acknowledged yet`;
    return { type: 'Programmed', status: 'False', reason: 'Pending', message };
  }
  return { type: 'Programmed', status: 'True', reason: 'Programmed', message: `${p.agents} agents acknowledged` };
}

/** The name of a broken object may be anything, also a path. */
const fileSafe = (part: string): string => part.replace(/[^A-Za-z0-9.*-]/g, '-').slice(0, 253);

/** Statuses of all objects that have one, by file name without extension. */
export function statuses(
  records: readonly ObjectRecord[],
  world: World,
  programmedOf: (key: string) => Programmed,
): Map<string, ObjectStatus> {
  const out = new Map<string, ObjectStatus>();
  for (const record of records) {
    if (!reported.has(record.kind) && record.problems.length === 0) continue;
    const { kind, namespace, name } = record;
    const issues = world.policies.issues.filter((i) => i.kind === kind && i.namespace === namespace && i.name === name);
    const state = programmedOf(record.key);
    const conditions = [accepted(record, issues, world), ...resolved(record, world), programmedCondition(state)];
    const problems = record.problems.map((p) => ({ file: p.origin.file, line: p.origin.line, reason: p.reason }));
    const version = {
      ...(record.uid === undefined ? {} : { uid: record.uid }),
      ...(record.generation === undefined ? {} : { generation: record.generation }),
    };
    out.set([kind, namespace, name].flatMap((p) => (p === undefined ? [] : fileSafe(p))).join('.'), {
      apiVersion: apiVersions[kind] ?? 'v1',
      kind,
      metadata: { ...(namespace === undefined ? {} : { namespace }), name, ...version },
      status: { conditions, ...(problems.length === 0 ? {} : { problems }), programmed: state },
    });
  }
  return out;
}
