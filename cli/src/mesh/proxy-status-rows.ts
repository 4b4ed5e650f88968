/** `meshctl proxy-status`: how far each agent is with what control told it. From control's /debug/agents. Pure. */
import { type MeshPod, podLabel } from './mesh-client.ts';

interface TypeState {
  readonly type: string;
  readonly acknowledged?: string;
  readonly pending: boolean;
  readonly nameCount: number;
  readonly rejection?: { readonly reason: string };
}

/** GET /debug/agents of one control process. */
export interface AgentsPage {
  readonly revision: number;
  readonly agents: readonly {
    readonly pod: string;
    readonly connectedAt: string;
    readonly settled: boolean;
    readonly types: readonly TypeState[];
  }[];
}

export type Sync = '-' | 'REJECTED' | 'STALE' | 'SYNCED';

export interface ProxyStatusRow {
  readonly namespace: string;
  readonly pod: string;
  readonly cds: Sync;
  readonly eds: Sync;
  readonly lds: Sync;
  readonly rds: Sync;
  /** The control process it is connected to; empty when to none. */
  readonly control: string;
  readonly connectedAt: string;
  readonly rejections: readonly string[];
}

const types = {
  cds: /(^|\.)cluster$/i,
  eds: /(clusterloadassignment|^endpoints?)$/i,
  lds: /(^|\.)listener$/i,
  rds: /(routeconfiguration|^routes?)$/i,
} as const;

function syncOf(all: readonly TypeState[], wanted: RegExp): Sync {
  const state = all.find((t) => wanted.test(t.type));
  if (state === undefined) return '-';
  if (state.rejection !== undefined) return 'REJECTED';
  return state.pending || state.acknowledged === undefined ? 'STALE' : 'SYNCED';
}

/** A row for each meshed pod, connected or not; a pod that reconnected counts with its newest stream. */
export function proxyStatusRows(
  pods: readonly MeshPod[],
  pages: readonly { readonly instance: string; readonly page: AgentsPage }[],
): readonly ProxyStatusRow[] {
  const streams = pages
    .flatMap(({ instance, page }) => page.agents.map((a) => ({ instance, ...a })))
    .sort((a, b) => (a.connectedAt < b.connectedAt ? -1 : 1));
  const newest = new Map(streams.map((s) => [s.pod, s]));
  return pods
    .filter((p) => p.meshed)
    .map((pod) => {
      const stream = newest.get(podLabel(pod));
      const states = stream?.types ?? [];
      return {
        namespace: pod.namespace,
        pod: pod.name,
        cds: syncOf(states, types.cds),
        eds: syncOf(states, types.eds),
        lds: syncOf(states, types.lds),
        rds: syncOf(states, types.rds),
        control: stream?.instance ?? '',
        connectedAt: stream?.connectedAt ?? '',
        rejections: states.flatMap((s) => (s.rejection === undefined ? [] : [`${s.type}: ${s.rejection.reason}`])),
      };
    })
    .sort((a, b) => (podLabel({ ...a, name: a.pod }) < podLabel({ ...b, name: b.pod }) ? -1 : 1));
}
