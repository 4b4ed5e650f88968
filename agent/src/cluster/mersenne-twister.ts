/**
 * MT19937, C++'s std::mt19937: random numbers of 32 bits that every proxy gets alike from the same seed, which a mixed
 * fleet has to where it shuffles hosts by the hash of a request.
 */
const size = 624;
const middle = 397;

export class MersenneTwister {
  readonly #state = new Uint32Array(size);
  #at = size;

  /** seed: its lower 32 bits count. */
  seed(seed: number): void {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < size; i++) {
      const before = state[i - 1] as number;
      state[i] = Math.imul(1_812_433_253, before ^ (before >>> 30)) + i;
    }
    this.#at = size;
  }

  next(): number {
    if (this.#at >= size) this.#twist();
    let y = this.#state[this.#at++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < size; i++) {
      const y = ((state[i] as number) & 0x8000_0000) | ((state[(i + 1) % size] as number) & 0x7fff_ffff);
      const xored = (state[(i + middle) % size] as number) ^ (y >>> 1);
      state[i] = (y & 1) === 0 ? xored : xored ^ 0x9908_b0df;
    }
    this.#at = 0;
  }

  /** From 0 to below limit, each as likely, as Envoy draws it. */
  below(limit: number): number {
    const width = Math.floor(0x1_0000_0000 / limit);
    let drawn = limit;
    while (drawn >= limit) drawn = Math.floor(this.next() / width);
    return drawn;
  }
}
