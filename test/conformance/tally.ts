/** Counts what was checked, says what failed, and closes with the one line that `npm test` closes with too. */
export class Tally {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  check(name: string, failure: string | null): void {
    if (failure === null) {
      this.#passed++;
      return;
    }
    this.#failed++;
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
    const [passed, failed, begun] = [this.#passed, this.#failed, Date.now()];
    console.log(`# ${name}`);
    try {
      await run();
    } catch (error) {
      this.check(name, error instanceof Error ? error.message : String(error));
    }
    const seconds = ((Date.now() - begun) / 1000).toFixed(1);
    console.log(`  ${this.#passed - passed} passed, ${this.#failed - failed} failed in ${seconds} s`);
  }

  /** Prints the closing line. The exit code: nothing passed is a failure unless everything was skipped. */
  close(): number {
    if (this.#passed === 0 && this.#failed === 0 && this.#skipped === 0) this.check('any check ran', 'none did');
    console.log(
      `${this.#passed} passed, ${this.#failed} failed${this.#skipped > 0 ? `, ${this.#skipped} skipped` : ''}`,
    );
    return this.#failed > 0 ? 1 : 0;
  }
}
