/** Where the process is between start and end, as Envoy calls it. */

export type ServerPhase = 'PRE_INITIALIZING' | 'INITIALIZING' | 'LIVE' | 'DRAINING';

export class ServerState {
  readonly startedMs: number;
  #opened = false;
  #configured = false;
  /** SIGTERM or /quitquitquit came. */
  #stopping = false;
  /** POST /healthcheck/fail. */
  #failed = false;

  constructor(nowMs: number) {
    this.startedMs = nowMs;
  }

  get phase(): ServerPhase {
    if (this.#stopping || this.#failed) return 'DRAINING';
    if (!this.#configured) return 'PRE_INITIALIZING';
    return this.#opened ? 'LIVE' : 'INITIALIZING';
  }

  /** Envoy's number for the phase: LIVE 0, DRAINING 1, PRE_INITIALIZING 2, INITIALIZING 3. */
  get phaseNumber(): number {
    return ['LIVE', 'DRAINING', 'PRE_INITIALIZING', 'INITIALIZING'].indexOf(this.phase);
  }

  get isStopping(): boolean {
    return this.#stopping;
  }

  /** The bootstrap was good and is with the workers. */
  configured(): void {
    this.#configured = true;
  }

  /** Everything awaited has come and the listeners are open. */
  opened(): void {
    this.#opened = true;
  }

  stopping(): void {
    this.#stopping = true;
  }

  healthcheck(ok: boolean): void {
    this.#failed = !ok;
  }
}
