/**
 * Changes on their way from the configuration to being served, and what went wrong with those before the agent was
 * live. Invariant: `onSettled` is called after each of them, when it counts no more.
 */
import { type Clock, type Logger, messageOf, UserError } from '@chainmail/runtime';
import type { ConfigUpdate } from '../model/update.ts';

export interface RolloutOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Hands an update to the workers. Gives what they could not do of it. */
  readonly send: (update: ConfigUpdate) => Promise<readonly string[]>;
  readonly isLive: () => boolean;
  readonly onSettled: () => void;
}

export class Rollout {
  readonly #options: RolloutOptions;
  /** About the bootstrap's own resources, e.g. a taken address. */
  readonly #startErrors: string[] = [];
  #running = 0;

  constructor(options: RolloutOptions) {
    this.#options = options;
  }

  /** Nothing is on its way. */
  get isSettled(): boolean {
    return this.#running === 0;
  }

  get hasStartErrors(): boolean {
    return this.#startErrors.length > 0;
  }

  publish(update: ConfigUpdate): void {
    this.track(this.#send(update), 'workers did not take an update');
  }

  async #send(update: ConfigUpdate): Promise<void> {
    const { send, isLive, log } = this.#options;
    const errors = await send(update);
    if (!isLive()) this.#startErrors.push(...errors);
    for (const reason of errors) log.error({ reason }, 'a worker could not apply all of an update');
  }

  /** Another change; failed: what the log says if it fails. */
  track(change: Promise<unknown>, failed: string): void {
    this.#running++;
    void change
      .catch((error) => this.#options.log.error({ reason: messageOf(error) }, failed))
      .finally(() => {
        this.#running--;
        this.#options.onSettled();
      });
  }

  /** Resolves when all is served. @throws UserError when something of the start is not */
  async settled(): Promise<void> {
    while (!this.isSettled) await new Promise((resolve) => this.#options.clock.after(1, () => resolve(undefined)));
    if (this.hasStartErrors) throw new UserError('LISTEN', this.#startErrors.join('\n'));
  }
}
