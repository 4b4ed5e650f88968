/**
 * Keeps the statuses and the log in step with what became of the objects. An object's `programmed` asks for the
 * revision in which the object last changed, so an unrelated change does not make it look pending.
 */
import type { KnownObject } from '@chainmail/kube';
import type { Clock, Logger, Timer } from '@chainmail/runtime';
import { programmed, type StatusSink, statuses } from '../status/status.ts';
import type { StoreState } from '../store/object-store.ts';
import type { Fleet } from '../xds/fleet.ts';

const keyOf = (o: KnownObject): string =>
  [o.kind, 'namespace' in o.metadata ? o.metadata.namespace : undefined, o.metadata.name]
    .filter((p) => p !== undefined)
    .join('/');

export class Reporter {
  readonly #fleet: () => Fleet;
  readonly #sink: StatusSink | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  #state: StoreState | undefined;
  #texts = new Map<string, { readonly text: string; readonly revision: number }>();
  #told = new Set<string>();
  #timer: Timer | undefined;

  constructor(fleet: () => Fleet, sink: StatusSink | undefined, clock: Clock, log: Logger) {
    this.#fleet = fleet;
    this.#sink = sink;
    this.#clock = clock;
    this.#log = log;
  }

  /** Objects and files with something wrong. */
  get problemCount(): number {
    const state = this.#state;
    if (state === undefined) return 0;
    return state.fileProblems.length + state.records.filter((r) => r.problems.length > 0).length;
  }

  get objectCount(): number {
    return this.#state?.objects.length ?? 0;
  }

  /** Takes the state that the revision was made from. */
  take(state: StoreState, revision: number): void {
    const texts = new Map<string, { text: string; revision: number }>();
    for (const o of state.objects) {
      const key = keyOf(o);
      const text = JSON.stringify('spec' in o ? o.spec : o.metadata);
      const held = this.#texts.get(key);
      texts.set(key, held?.text === text ? held : { text, revision });
    }
    this.#texts = texts;
    this.#state = state;
    this.#tell(state);
    this.refresh();
  }

  /** Writes the statuses soon. */
  refresh(): void {
    if (this.#sink === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(this.#sink.settleMs, () => {
      this.#timer = undefined;
      this.flush();
    });
  }

  flush(): void {
    const state = this.#state;
    if (state === undefined || this.#sink === undefined) return;
    const fleet = this.#fleet();
    const { world } = fleet;
    // A pod on its way out gets no new configuration, and nobody waits for it.
    const agents = fleet.agents.filter((a) => world.pods.has(a.pod));
    const byRevision = new Map<number, ReturnType<typeof programmed>>();
    const of = (key: string) => {
      const revision = this.#texts.get(key)?.revision ?? 0;
      const held = byRevision.get(revision) ?? programmed(agents, revision);
      byRevision.set(revision, held);
      return held;
    };
    this.#sink.write(statuses(state.records, world, of), agents.length);
  }

  /** Each problem is logged once, when it appears. */
  #tell(state: StoreState): void {
    const now = new Set<string>();
    const all = [
      ...state.fileProblems.map((p) => ({ object: undefined, origin: p.origin, reason: p.reason })),
      ...state.records.flatMap((r) => r.problems.map((p) => ({ object: r.key, origin: p.origin, reason: p.reason }))),
    ];
    for (const { object, origin, reason } of all) {
      const id = `${origin.file}:${origin.line} ${reason}`;
      now.add(id);
      if (!this.#told.has(id))
        this.#log.warn({ object, file: origin.file, line: origin.line, reason }, 'object refused');
    }
    this.#told = now;
  }
}
