/**
 * Work that looks at a state and puts right what differs: one pass at a time, and once more if it was asked for
 * meanwhile, since a pass may have looked before the change.
 */
export class Passes {
  readonly #pass: () => Promise<void>;
  #running = false;
  #asked = false;
  #closed = false;

  /** A pass does not reject: it knows itself what to do about a failure. */
  constructor(pass: () => Promise<void>) {
    this.#pass = pass;
  }

  /** The running pass is out of date: another follows it. */
  get isAskedAgain(): boolean {
    return this.#asked;
  }

  ask(): void {
    if (this.#closed) return;
    this.#asked = true;
    if (!this.#running) void this.#run();
  }

  /** No pass begins any more. */
  close(): void {
    this.#closed = true;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#asked && !this.#closed) {
      this.#asked = false;
      await this.#pass();
    }
    this.#running = false;
  }
}
