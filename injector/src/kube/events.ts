/**
 * Events on the owner of a pod that was let through without an agent, or whose namespace will not admit mesh-init: its
 * author sees no answer of the API server. (A refusal needs none: the controller reports it in the API server's words.)
 * Invariant: never waited for, bounded in rate and memory.
 */
import type { ApiClient } from '@chainmail/kube/cluster';
import { type Clock, type Logger, messageOf } from '@chainmail/runtime';
import type { PodOwner, ReviewOutcome } from '../review.ts';

type Answered = Extract<ReviewOutcome, { kind: 'answered' }>;

/** The same word about the same owner is said once in this time. */
const sayAgainMs = 600_000;
const maxRemembered = 2000;
const maxUnderWay = 8;
/** As the API server bounds an Event's message. */
const maxMessage = 1024;

export class EventWriter {
  readonly #client: Pick<ApiClient, 'create'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #saidAtMs = new Map<string, number>();
  #underWay = 0;

  constructor(client: Pick<ApiClient, 'create'>, clock: Clock, log: Logger) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
  }

  tell({ owner, namespace, dryRun, decision, report }: Answered): void {
    if (dryRun || owner === undefined) return;
    if (decision.kind === 'skip' && decision.impossible === true) {
      this.#say(namespace, owner, 'InjectionSkipped', `pods get no agent: ${decision.reason}`);
    }
    for (const warning of report.warnings) this.#say(namespace, owner, 'InjectionWarning', warning);
  }

  #say(namespace: string, owner: PodOwner, reason: string, message: string): void {
    const nowMs = this.#clock.now();
    const key = `${owner.uid} ${message}`;
    const saidAtMs = this.#saidAtMs.get(key);
    if (saidAtMs !== undefined && nowMs - saidAtMs < sayAgainMs) return;
    if (this.#underWay >= maxUnderWay) return; // another pod of the same owner will say it
    this.#remember(key, nowMs);
    this.#underWay++;
    this.#client
      .create(`/api/v1/namespaces/${namespace}/events`, eventOf(namespace, owner, reason, message, nowMs))
      .catch((error: unknown) => {
        this.#saidAtMs.delete(key);
        this.#log.info({ reason: messageOf(error) }, 'could not write an event');
      })
      .finally(() => {
        this.#underWay--;
      });
  }

  #remember(key: string, nowMs: number): void {
    this.#saidAtMs.delete(key);
    this.#saidAtMs.set(key, nowMs);
    const [oldest] = this.#saidAtMs.keys();
    if (this.#saidAtMs.size > maxRemembered && oldest !== undefined) this.#saidAtMs.delete(oldest);
  }
}

function eventOf(namespace: string, owner: PodOwner, reason: string, message: string, nowMs: number): object {
  const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: 'chainmail-injector-', namespace },
    involvedObject: { ...owner, namespace },
    type: 'Warning',
    reason,
    message: message.slice(0, maxMessage),
    source: { component: 'chainmail-injector' },
    reportingComponent: 'chainmail.dev/injector',
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}
