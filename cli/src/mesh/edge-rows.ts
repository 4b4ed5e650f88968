/** Who talks to whom: the totals of all agents' /edges as one row per pair of workloads. Pure but for the reading. */
import type { MeshPod } from './mesh-client.ts';

/** What an agent's /edges gives. */
export interface AgentEdge {
  readonly direction: 'inbound' | 'outbound';
  readonly local: string;
  readonly peer: string;
  readonly target: string;
  readonly tls: string;
  readonly connections: number;
  readonly active: number;
  readonly requests: number;
  readonly failures: number;
}

export interface EdgeRow {
  readonly source: string;
  readonly destination: string;
  readonly sourceNamespace: string;
  readonly destinationNamespace: string;
  /** Identities, '' where there is none. */
  readonly clientId: string;
  readonly serverId: string;
  /** TLS version, or '' for plaintext. */
  readonly secured: string;
  readonly connections: number;
  readonly active: number;
  readonly requests: number;
  readonly failures: number;
}

const unknown = { namespace: '-', name: 'unknown' };

/** The namespace and service account of `spiffe://td/ns/<ns>/sa/<sa>`. */
function partyOf(id: string): { namespace: string; name: string } {
  const m = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id);
  return m?.[1] === undefined || m[2] === undefined ? unknown : { namespace: m[1], name: m[2] };
}

/** `outbound|8080||catalog.shop.svc.cluster.local` names the Service; anything else is shown as it is. */
function targetOf(target: string): { namespace: string; name: string } {
  const host = target.split('||')[1] ?? '';
  const [name, namespace] = host.split('.');
  return name === undefined || name === '' || namespace === undefined
    ? { namespace: '-', name: target }
    : { namespace, name };
}

/** The hop from an agent to the application in its own pod never leaves the pod. */
const insidePod = (e: AgentEdge): boolean => e.direction === 'outbound' && e.target.startsWith('inbound|');

function rowOf(pod: MeshPod, e: AgentEdge): EdgeRow {
  const here = { namespace: pod.namespace, name: pod.serviceAccount };
  const there = e.peer !== '' ? partyOf(e.peer) : e.direction === 'outbound' ? targetOf(e.target) : unknown;
  const [source, destination] = e.direction === 'inbound' ? [there, here] : [here, there];
  const [clientId, serverId] = e.direction === 'inbound' ? [e.peer, e.local] : [e.local, e.peer];
  return {
    source: source.name,
    destination: destination.name,
    sourceNamespace: source.namespace,
    destinationNamespace: destination.namespace,
    clientId,
    serverId,
    secured: e.tls,
    connections: e.connections,
    active: e.active,
    requests: e.requests,
    failures: e.failures,
  };
}

/**
 * One row per pair and transport, sorted. Each edge between two meshed pods is seen at both ends; the receiving end
 * counts, and the sending end only where the receiver has no agent to say so.
 */
export function edgeRows(
  readings: readonly { readonly pod: MeshPod; readonly edges: readonly AgentEdge[] }[],
): EdgeRow[] {
  const groups = new Map<string, EdgeRow>();
  for (const { pod, edges } of readings) {
    for (const e of edges.filter((x) => !insidePod(x) && (x.direction === 'inbound' || x.peer === ''))) {
      const row = rowOf(pod, e);
      const key = [
        row.sourceNamespace,
        row.source,
        row.destinationNamespace,
        row.destination,
        row.clientId,
        row.serverId,
        row.secured,
      ].join('\0');
      const old = groups.get(key);
      groups.set(key, old === undefined ? row : add(old, row));
    }
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

function add(a: EdgeRow, b: EdgeRow): EdgeRow {
  return {
    ...a,
    connections: a.connections + b.connections,
    active: a.active + b.active,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
  };
}
