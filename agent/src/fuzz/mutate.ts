/** Damages an input a little: the classic moves of a mutation fuzzer, from a seeded generator. */
type Random = () => number;

const below = (random: Random, n: number): number => Math.floor(random() * n);

/** Values at which lengths and signs tip over. */
const interesting = [0, 1, 2, 9, 10, 13, 32, 48, 58, 59, 127, 128, 254, 255];

type Move = (input: Buffer, random: Random, other: Buffer, words: readonly Buffer[]) => Buffer;

function splice(input: Buffer, at: number, remove: number, insert: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, at), insert, input.subarray(at + remove)]);
}

const moves: readonly Move[] = [
  (input, random) => {
    const out = Buffer.from(input);
    const at = below(random, out.length);
    out[at] = (out[at] ?? 0) ^ (1 << below(random, 8));
    return out;
  },
  (input, random) => {
    const out = Buffer.from(input);
    out[below(random, out.length)] = interesting[below(random, interesting.length)] ?? 0;
    return out;
  },
  (input, random) => {
    const out = Buffer.from(input);
    const at = below(random, out.length);
    out[at] = (out[at] ?? 0) + 1 - 2 * below(random, 2);
    return out;
  },
  (input, random) => splice(input, below(random, input.length), 1 + below(random, 8), Buffer.alloc(0)),
  (input, random) => splice(input, below(random, input.length + 1), 0, Buffer.from([below(random, 256)])),
  (input, random) => {
    const from = below(random, input.length);
    return splice(input, below(random, input.length + 1), 0, input.subarray(from, from + 1 + below(random, 32)));
  },
  (input, random, _other, words) =>
    splice(input, below(random, input.length + 1), 0, words[below(random, words.length)] ?? Buffer.alloc(0)),
  (input, random, _other, words) => {
    const word = words[below(random, words.length)] ?? Buffer.alloc(0);
    return splice(input, below(random, input.length + 1), word.length, word);
  },
  (input, random, other) =>
    Buffer.concat([
      input.subarray(0, below(random, input.length + 1)),
      other.subarray(below(random, other.length + 1)),
    ]),
  (input, random) => Buffer.from(input.subarray(0, below(random, input.length + 1))),
];

/** One to four moves. `other` is another input to cross with; `words` are texts that mean something to the parser. */
export function mutate(
  input: Buffer,
  other: Buffer,
  words: readonly Buffer[],
  random: Random,
  maxBytes: number,
): Buffer {
  let out = input.length > 0 ? input : Buffer.from([0]);
  for (let n = 1 + below(random, 4); n > 0; n--) {
    const move = moves[below(random, moves.length)];
    if (move !== undefined && out.length > 0) out = move(out, random, other, words);
  }
  return out.subarray(0, maxBytes);
}
