/** Runs one target: mutates inputs of its corpus and keeps what reaches blocks that nothing has reached before. */
import { seededRandom } from '../worker/random.ts';
import { Coverage } from './coverage.ts';
import { mutate } from './mutate.ts';
import type { Target } from './target.ts';

export interface Failure {
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Run {
  readonly executions: number;
  readonly blocks: number;
  /** Inputs that reached something new, without those it began with. */
  readonly found: readonly Buffer[];
  readonly failure: Failure | null;
}

/** Coverage is asked for after this many inputs, because a question costs as much as dozens of runs. */
const batch = 64;

function runOne(target: Target, input: Buffer): unknown {
  try {
    target.run(input);
    return null;
  } catch (error) {
    return error ?? new Error('threw nothing');
  }
}

/** Ends at the deadline or at the first failure. The same seed and speed give the same inputs. */
export function fuzz(target: Target, seeds: readonly Buffer[], seed: number, isOver: () => boolean): Run {
  const random = seededRandom(seed);
  const coverage = new Coverage(target.sources);
  const known = new Set<string>();
  const words = target.words.map((w) => Buffer.from(w, 'latin1'));
  const corpus: Buffer[] = [];
  const found: Buffer[] = [];
  let executions = 0;
  const isNew = (): boolean => {
    const before = known.size;
    for (const key of coverage.take()) known.add(key);
    return known.size > before;
  };
  const tryOne = (input: Buffer): Failure | null => {
    executions++;
    const error = runOne(target, input);
    return error === null ? null : { input, error };
  };
  const finish = (failure: Failure | null): Run => {
    coverage.stop();
    return { executions, blocks: known.size, found, failure };
  };
  for (const input of seeds.length > 0 ? seeds : words) {
    const failure = tryOne(input);
    if (failure !== null) return finish(failure);
    corpus.push(input);
  }
  isNew();
  const pick = (): Buffer => corpus[Math.floor(random() * corpus.length)] ?? Buffer.alloc(1);
  while (!isOver()) {
    const inputs: Buffer[] = [];
    for (let i = 0; i < batch; i++) {
      const input = mutate(pick(), pick(), words, random, target.maxBytes);
      const failure = tryOne(input);
      if (failure !== null) return finish(failure);
      inputs.push(input);
    }
    if (!isNew()) continue;
    // One of the batch was new: which one shows when each runs alone against what was known before.
    for (const input of newOnes(target, inputs, coverage, known)) {
      corpus.push(input);
      found.push(input);
    }
  }
  return finish(null);
}

const seenAlone = new WeakMap<ReadonlySet<string>, Set<string>>();

function newOnes(target: Target, inputs: readonly Buffer[], coverage: Coverage, known: ReadonlySet<string>): Buffer[] {
  let alone = seenAlone.get(known);
  if (alone === undefined) {
    alone = new Set();
    seenAlone.set(known, alone);
  }
  const fresh: Buffer[] = [];
  for (const input of inputs) {
    runOne(target, input);
    const before = alone.size;
    for (const key of coverage.take()) alone.add(key);
    if (alone.size > before) fresh.push(input);
  }
  return fresh;
}
