/** Counts what was checked, says what failed, and closes with the one line that `npm test` closes with too. */
export class Tally {
  #passed = 0;
  readonly #failures: string[] = [];
  #skipped = 0;
  #group = '';

  check(name: string, failure: string | null): void {
    if (failure === null) {
      this.#passed++;
      return;
    }
    this.#failures.push(this.#group === '' ? name : `${this.#group}: ${name}`);
    console.log(`  NOT OK ${name}\n${failure.trimEnd().replace(/^/gm, '         ')}`);
  }

  /** Runs one check; what it throws is its failure. */
  async attempt(name: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.check(name, null);
    } catch (error) {
      this.check(name, error instanceof Error ? error.message : String(error));
    }
  }

  skip(name: string, why: string): void {
    this.#skipped++;
    console.log(`  skipped ${name}: ${why}`);
  }

  /** A group of checks, with a line that says how it went. */
  async group(name: string, run: () => Promise<void>): Promise<void> {
    const [passed, failed, begun] = [this.#passed, this.#failures.length, Date.now()];
    this.#group = name;
    console.log(`# ${name}`);
    try {
      await run();
    } catch (error) {
      this.check(name, error instanceof Error ? error.message : String(error));
    }
    const seconds = ((Date.now() - begun) / 1000).toFixed(1);
    this.#group = '';
    console.log(`  ${this.#passed - passed} passed, ${this.#failures.length - failed} failed in ${seconds} s`);
  }

  /** Prints what failed, by name, and the closing line. The exit code: nothing passed is a failure unless all was skipped. */
  close(): number {
    const failures = this.#failures;
    if (this.#passed === 0 && failures.length === 0 && this.#skipped === 0) this.check('any check ran', 'none did');
    for (const name of failures) console.log(`FAILED: ${name}`);
    const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : '';
    console.log(`${this.#passed} passed, ${failures.length} failed${skipped}`);
    return failures.length > 0 ? 1 : 0;
  }
}
