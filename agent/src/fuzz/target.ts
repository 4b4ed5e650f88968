/**
 * What is fuzzed: each target takes bytes of a stranger and checks what must hold for all of them. A target throws
 * when a property is broken; an error that the parser documents is an answer like any other.
 */
export interface Target {
  readonly name: string;
  /** Sources whose blocks count as coverage. */
  readonly sources: readonly string[];
  readonly words: readonly string[];
  readonly maxBytes: number;
  run(input: Buffer): void;
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken: ${what}`);
}

/** Lengths at which an input is cut: all of a short one, the ends and some between, `about` as many, of a longer one. */
export function* cuts(length: number, about = 64): Iterable<number> {
  const step = Math.max(1, Math.floor(length / about));
  for (let i = 1; i < length; i += step) yield i;
}
