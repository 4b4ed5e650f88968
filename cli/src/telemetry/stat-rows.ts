/** The rows of `meshctl stat`: one for each workload, adding up what its pods' agents saw in the window. */
import type { AgentWindow } from './agent-reading.ts';
import { addBuckets, quantile } from './histogram.ts';

export interface PodWindow {
  readonly namespace: string;
  /** The Deployment (or other owner), or the pod's own name. */
  readonly workload: string;
  readonly pod: string;
  readonly meshed: boolean;
  /** null: no agent, or it could not be read; `problem` says why. */
  readonly window: AgentWindow | null;
  readonly problem?: string;
}

export interface StatRow {
  readonly namespace: string;
  readonly name: string;
  readonly meshed: number;
  readonly pods: number;
  /** Share of responses that are not 5xx, 0..1; null without requests. */
  readonly successRate: number | null;
  readonly rps: number | null;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly tcpConnections: number | null;
  readonly problems: readonly string[];
}

function row(namespace: string, name: string, pods: readonly PodWindow[]): StatRow {
  const windows = pods.flatMap((p) => (p.window === null ? [] : [p.window]));
  const sum = (of: (w: AgentWindow) => number): number => windows.reduce((s, w) => s + of(w), 0);
  const requests = sum((w) => w.requests);
  const latency = addBuckets(windows.map((w) => w.latency));
  const none = windows.length === 0;
  return {
    namespace,
    name,
    meshed: pods.filter((p) => p.meshed).length,
    pods: pods.length,
    successRate: requests === 0 ? null : sum((w) => w.successes) / requests,
    rps: none ? null : sum((w) => w.requests / w.seconds),
    p50Ms: quantile(latency, 0.5),
    p95Ms: quantile(latency, 0.95),
    p99Ms: quantile(latency, 0.99),
    tcpConnections: none ? null : sum((w) => w.activeConnections),
    problems: pods.flatMap((p) => (p.problem === undefined ? [] : [`${p.pod}: ${p.problem}`])),
  };
}

/** Sorted by namespace and name. */
export function statRows(pods: readonly PodWindow[]): StatRow[] {
  const groups = new Map<string, PodWindow[]>();
  for (const p of pods) {
    const key = `${p.namespace}\0${p.workload}`;
    groups.set(key, [...(groups.get(key) ?? []), p]);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, members]) => {
      const [namespace = '', name = ''] = key.split('\0');
      return row(namespace, name, members);
    });
}
