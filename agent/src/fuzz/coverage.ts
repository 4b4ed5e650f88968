/** Which blocks of our sources have run, from V8's own counters: what tells the fuzzer that an input is new. */
import inspector from 'node:inspector';

/** Blocks that have run since the last question, as stable text keys. */
export class Coverage {
  readonly #session = new inspector.Session();
  readonly #of: readonly string[];

  /** of: ends of the file names that count. */
  constructor(of: readonly string[]) {
    this.#of = of;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Also resets the counters. The callback of a session on its own thread comes before post returns. */
  take(): string[] {
    const keys: string[] = [];
    this.#session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      for (const script of result) {
        if (!this.#of.some((end) => script.url.endsWith(end))) continue;
        for (const { ranges } of script.functions) {
          for (const r of ranges) if (r.count > 0) keys.push(`${script.scriptId}:${r.startOffset}:${r.endOffset}`);
        }
      }
    });
    return keys;
  }

  stop(): void {
    this.#session.disconnect();
  }
}
