/**
 * Ratios of this run held against committed ones: which rows got worse by more than a tenth. Both are agent/peer of one
 * run, so that a machine that is slow is slow for both. It informs; noise must not fail a change.
 */

/** Row -> peer -> agent/peer of CPU per request. */
export type Ratios = Readonly<Record<string, Readonly<Record<string, number>>>>;

export const tolerance = 0.1;

export interface Change {
  readonly row: string;
  readonly peer: string;
  /** null: not in the reference. */
  readonly before: number | null;
  /** null: not measured in this run. */
  readonly now: number | null;
}

export function changes(reference: Ratios, measured: Ratios): readonly Change[] {
  const rows = [...new Set([...Object.keys(reference), ...Object.keys(measured)])];
  return rows.flatMap((row) => {
    const [before, now] = [reference[row] ?? {}, measured[row] ?? {}];
    const peers = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    return peers.map((peer) => ({ row, peer, before: before[peer] ?? null, now: now[peer] ?? null }));
  });
}

export function isWorse({ before, now }: Change): boolean {
  return before !== null && now !== null && now > before * (1 + tolerance);
}

/** A line for people and for searching: `WARNING` stands in front of what got slower, and nowhere else. */
export function changeLine(change: Change): string {
  const { row, peer, before, now } = change;
  const name = `${row}, agent/${peer}`.padEnd(46);
  if (before === null)
    return `         ${name} ${now?.toFixed(2) ?? '-'}, not in the reference: npm run bench -- --ci --record`;
  if (now === null) return `         ${name} not measured (${before.toFixed(2)} in the reference)`;
  const percent = Math.round((now / before - 1) * 100);
  const figures = `${before.toFixed(2)} -> ${now.toFixed(2)}`;
  if (isWorse(change)) return `WARNING: ${name} ${figures}: ${percent} % more CPU than the reference`;
  return `         ${name} ${figures}${percent < -tolerance * 100 ? `: ${-percent} % less` : ''}`;
}
