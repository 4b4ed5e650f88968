/** Who comes when, and what is read from rounds that went that way: the parts of a fair bench that need no processes. */

/** The order in which peers are started and warmed up: every other time the reverse of the one before. */
export const startOrder = <T>(peers: readonly T[], start: number): T[] =>
  start % 2 === 0 ? [...peers] : [...peers].reverse();

/**
 * The order of one round: forward and backward in turn, so that over both everybody stands in the same place on average
 * and follows whoever it goes before. Forward is a Williams design, from both ends to the middle, and each time one peer
 * further on: over all of them each has followed each other equally often, not only its neighbours. Every other start has
 * each round reversed, so that an odd number of rounds is even over two.
 */
export function orderOf<T>(peers: readonly T[], round: number, start = 0): T[] {
  const first = Math.floor(round / 2);
  const places = peers.map((_, i) => (i % 2 === 0 ? i / 2 : peers.length - (i + 1) / 2));
  const forward = places.map((place) => peers[(first + place) % peers.length] as T);
  return startOrder(forward, round + start);
}

/** In the middle, and not above it where the list is even: the upper of two is a bias against whoever is divided. */
export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [below, above] = [sorted[Math.ceil(middle) - 1] ?? Number.NaN, sorted[Math.floor(middle)] ?? Number.NaN];
  return (below + above) / 2;
}

export interface Ratio {
  readonly value: number;
  /** Half the range of all rounds. Less (the middle half) has read 0.93 +-0.01 for equal code. */
  readonly spread: number;
}

/**
 * Of one side over the other, pair by pair of the same round, so that both saw the same machine; and of the pairs the
 * median, as a round or two in which something else ran may be half as dear again. Between two middles it is their
 * geometric mean: so exchanged sides give the inverse.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Ratio {
  const rounds = Math.min(ours.length, theirs.length);
  const ratios = Array.from({ length: rounds }, (_, i) => (ours[i] ?? Number.NaN) / (theirs[i] ?? Number.NaN));
  ratios.sort((a, b) => a - b);
  return { value: Math.exp(median(ratios.map(Math.log))), spread: ((ratios.at(-1) ?? 0) - (ratios[0] ?? 0)) / 2 };
}

/** `0.98 +-0.02`; without a spread where there is none, as over a peer that takes no time. */
export function ratioText({ value, spread }: Ratio): string {
  return Number.isFinite(spread) && spread > 0 ? `${value.toFixed(2)} +-${spread.toFixed(2)}` : value.toFixed(2);
}
