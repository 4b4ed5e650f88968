/** How a process stops: on the first SIGTERM or SIGINT everything registered closes in reverse order, once. */
import type { Logger } from './logger.ts';

export type Closer = () => void | Promise<void>;

export class Lifecycle {
  readonly #log: Logger;
  readonly #closers: { readonly name: string; readonly close: Closer }[] = [];
  #stopping: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** What is added last closes first. */
  onStop(name: string, close: Closer): void {
    this.#closers.push({ name, close });
  }

  /** Installs the signal handlers; the process exits with 0 when all is closed, or with 1 after the deadline. */
  exitOnSignals(deadlineMs: number): void {
    const stop = (signal: string): void => {
      this.#log.info({ signal }, 'stopping');
      setTimeout(() => {
        this.#log.error({ deadlineMs }, 'did not stop in time');
        process.exit(1);
      }, deadlineMs).unref();
      void this.stop().then(() => process.exit(0));
    };
    process.once('SIGTERM', () => stop('SIGTERM'));
    process.once('SIGINT', () => stop('SIGINT'));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#closeAll();
    return this.#stopping;
  }

  async #closeAll(): Promise<void> {
    for (const { name, close } of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        this.#log.warn({ err: error, part: name }, 'failed to close');
      }
    }
  }
}
