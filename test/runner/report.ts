/**
 * What AVA's own reporter says, read line by line: what passed, and what failed by name. Its TAP reporter would be made
 * for programs, but it names no file for an exception out of nowhere, and throws itself when a test runs out of time.
 */

/** A duration behind the title, and the title before it. */
const passed = /^ {2}✔ (.*)$/;
const failed = /^ {2}✘ (?:\[(?:fail|unexpected pass)\]: )?(.*)$/;
const skipped = /^ {2}- \[(?:skip|todo)\] (.*)$/;
const crashed = /^ {2}((?:Uncaught exception|Unhandled rejection) in .*)$/;
const pending = /^ {2}(?:◌ (.*)|(Failed to exit when running .*))$/;
/** The end of a file that an exception has ended is no news. */
const fileEnded = /^(?:(\S+) exited |Exiting due to .* running (\S+)$)/;
/** The tests that were running then are named below it. */
const outOfTime = 'Timed out while running tests';
/** A line that says what was thrown, which is not where, nor the code around it. */
const thrown = /^ {2}(?! )(?!\S+:\d+$)(.+)$/;
const rule = /^ {2}─+$/;
const counts = /^ {2}\d+ (?:tests?|hooks?|uncaught|unhandled|known|previous) /;

export class Report {
  passed = 0;
  skipped = 0;
  /** Tests, and files that crashed, with what they said. */
  readonly failed: string[] = [];
  #crash: string | null = null;
  #isAtTheEnd = false;

  /** What is to be shown of a line; null for nothing. */
  read(line: string): string | null {
    if (rule.test(line)) {
      const isFirst = !this.#isAtTheEnd;
      this.#isAtTheEnd = true;
      return isFirst && this.failed.length > 0 ? '# what failed, in full' : null;
    }
    if (this.#isAtTheEnd) return counts.test(line) || this.failed.length === 0 ? null : line;
    return this.#result(line) ?? this.#other(line);
  }

  #result(line: string): string | null {
    const good = passed.exec(line);
    if (good !== null) {
      this.passed++;
      return `  ok      ${good[1]}`;
    }
    const left = skipped.exec(line);
    if (left !== null) {
      this.skipped++;
      return `  ok      ${left[1]} # SKIP`;
    }
    const bad = failed.exec(line) ?? crashed.exec(line);
    if (bad !== null) return this.#fail(bad[1] ?? '', crashed.test(line));
    const late = pending.exec(line);
    return late === null ? null : this.#fail(late[2] ?? `${late[1]}: still running when its time was over`, false);
  }

  #fail(what: string, isCrash: boolean): string {
    this.#crash = isCrash ? what : null;
    const ended = fileEnded.exec(what);
    const file = ended?.[1] ?? ended?.[2];
    const isKnown = file !== undefined && this.failed.some((f) => f.includes(file));
    if (!isKnown && !isCrash && what !== outOfTime) this.failed.push(what);
    return `  NOT OK  ${what}`;
  }

  #other(line: string): string | null {
    const what = this.#crash === null ? null : thrown.exec(line);
    if (what !== null) {
      this.failed.push(`${this.#crash}: ${what[1]}`);
      this.#crash = null;
    }
    return line.trim() === '' ? null : line;
  }

  /** To be called when AVA has ended: a failure that has no name gets one. */
  end(code: number | null): void {
    if (this.#crash !== null) this.failed.push(this.#crash);
    this.#crash = null;
    if (code !== 0 && this.failed.length === 0) this.failed.push(`AVA ended with ${code ?? 'a signal'}`);
    if (code === 0 && this.passed === 0) this.failed.push('no test ran');
  }
}
