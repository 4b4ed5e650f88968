/** What changed between two looks at a local mesh, in lines for a person. Pure but for its memory. */
import type { DevPod, DevStatus } from '@chainmail/local';

const podState = (p: DevPod): string => {
  if (p.terminating) return 'stopping';
  if (p.ready) return 'ready';
  if (p.phase === 'Succeeded') return 'finished';
  return p.trouble?.split('\n')[0] ?? 'starting';
};

export class Progress {
  #seen = new Map<string, string>();

  /** Lines for everything that is new or different since the last call. */
  lines(status: DevStatus): string[] {
    const now = new Map<string, string>();
    for (const c of status.components) {
      const again = c.restarts === 0 ? '' : `, restart ${c.restarts}`;
      const why = c.message === undefined ? '' : `: ${c.message}`;
      if (c.state === 'running') now.set(`component ${c.name}`, `running${again}`);
      else if (c.restarts > 0 || c.message !== undefined) now.set(`component ${c.name}`, `${c.state}${why}`);
    }
    for (const p of status.pods) {
      now.set(`pod ${p.namespace}/${p.name}`, podState(p));
      if (p.restarts > 0) now.set(`pod ${p.namespace}/${p.name} `, `restarted ${p.restarts}x`);
    }
    for (const p of status.problems) now.set(`${p.origin.file}:${p.origin.line}`, p.reason);
    const changed = [...now].filter(([key, text]) => this.#seen.get(key) !== text);
    const gone = [...this.#seen.keys()].filter((key) => key.startsWith('pod ') && !key.endsWith(' ') && !now.has(key));
    this.#seen = now;
    return [...changed.map(([key, text]) => `${key.trimEnd()}: ${text}`), ...gone.map((key) => `${key}: gone`)];
  }
}
