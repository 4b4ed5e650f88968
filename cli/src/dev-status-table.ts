/** The tables of `meshctl dev status`. Pure. */
import type { DevPod, DevStatus } from '@chainmail/local';
import { type Column, renderTable } from './output/table.ts';

/** `42s`, `5m`, `3h`, `2d`: the largest unit that is not zero. */
export function age(fromIso: string, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(fromIso)) / 1000));
  if (Number.isNaN(seconds)) return '-';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function podColumns(nowMs: number): readonly Column<DevPod>[] {
  return [
    { title: 'NAMESPACE', value: (p) => p.namespace },
    { title: 'POD', value: (p) => p.name },
    { title: 'READY', value: (p) => `${p.readyContainers}/${p.containers}` },
    { title: 'STATUS', value: (p) => p.phase },
    { title: 'RESTARTS', value: (p) => String(p.restarts), right: true },
    { title: 'AGE', value: (p) => age(p.createdAt, nowMs), right: true },
    { title: 'IP', value: (p) => p.ips[0] ?? '-' },
    { title: 'TROUBLE', value: (p) => (p.ready ? '' : ((p.trouble ?? '').split('\n')[0] ?? '')) },
  ];
}

export function statusTable(status: DevStatus, nowMs: number): string {
  const parts = [`local mesh ${status.name}: ${status.phase}, ${status.dirs.join(', ')}`];
  if (status.components.length > 0) {
    parts.push(
      renderTable(status.components, [
        { title: 'COMPONENT', value: (c) => c.name },
        { title: 'STATUS', value: (c) => c.state },
        { title: 'RESTARTS', value: (c) => String(c.restarts), right: true },
        { title: 'PID', value: (c) => String(c.pid ?? '-'), right: true },
        { title: 'LAST END', value: (c) => c.message ?? '' },
      ]),
    );
  }
  parts.push(status.pods.length === 0 ? 'no pods' : renderTable(status.pods, podColumns(nowMs)));
  if (status.services.length > 0) {
    parts.push(
      renderTable(status.services, [
        { title: 'NAMESPACE', value: (s) => s.namespace },
        { title: 'SERVICE', value: (s) => s.name },
        { title: 'ADDRESSES', value: (s) => s.clusterIPs.join(' ') },
      ]),
    );
  }
  if (status.problems.length > 0) {
    parts.push(status.problems.map((p) => `${p.origin.file}:${p.origin.line}: ${p.reason}`).join('\n'));
  }
  return parts.join('\n\n');
}
