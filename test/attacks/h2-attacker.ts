/**
 * A thread that repeats an attack on connections of its own until it is told to stop: bytes at once, then until the
 * connection is over, or for a second. Paced, so that what others suffer is the agent's doing and not the processor's.
 */
import { Worker } from 'node:worker_threads';

export interface Attempts {
  readonly connections: number;
  /** Ended by the agent. */
  readonly ended: number;
  /** Codes of GOAWAY, each once. */
  readonly goaways: readonly number[];
}

export interface Work {
  readonly port: number;
  readonly name: string;
  readonly parallel: number;
  readonly holdMs: number;
}

export class Attacker {
  readonly #worker: Worker;
  readonly #result: Promise<Attempts>;

  constructor(work: Work) {
    this.#worker = new Worker(new URL('./h2-attack-thread.ts', import.meta.url), {
      workerData: work,
      execArgv: ['--no-warnings'],
    });
    this.#result = new Promise((resolve, reject) => {
      this.#worker.once('message', resolve);
      this.#worker.once('error', reject);
    });
  }

  async stop(): Promise<Attempts> {
    this.#worker.postMessage('stop');
    const result = await this.#result;
    await this.#worker.terminate();
    return result;
  }
}
