/**
 * One line for every certificate issued and every request refused. Invariant: a flood of requests that are refused
 * for their rate cannot flood the log: such lines are thinned out, and say how many they stand for.
 */
import type { Clock, Logger } from '@chainmail/runtime';
import { RateLimit } from './rate-limit.ts';

export type RefusalCode = 'rate-limited' | 'unauthenticated' | 'not-live' | 'bad-request' | 'bad-ttl' | 'internal';

export interface IssueRecord {
  readonly spiffeId: string;
  /** Address of the connection, or `self`. */
  readonly peer: string;
  readonly pod: string | undefined;
  readonly serial: string;
  readonly leafSha256: string;
  readonly notAfterMs: number;
  readonly bundleSequence: number;
}

export interface RefusalRecord {
  readonly code: RefusalCode;
  readonly reason: string;
  readonly peer: string;
  /** Absent before authentication. */
  readonly caller: string | undefined;
}

export class AuditLog {
  readonly #log: Logger;
  readonly #flood: RateLimit;
  readonly #keep: (record: Readonly<Record<string, unknown>>) => void;
  #untold = 0;
  readonly counts = { issued: 0, refused: new Map<RefusalCode, number>() };

  /** @param keep takes every record that the log gets, to keep it elsewhere too */
  constructor(log: Logger, clock: Clock, keep: (record: Readonly<Record<string, unknown>>) => void = () => {}) {
    this.#log = log;
    this.#keep = keep;
    this.#flood = new RateLimit({ perSecond: 1, burst: 5 }, clock);
  }

  issued(record: IssueRecord): void {
    this.counts.issued++;
    const { notAfterMs, ...rest } = record;
    const told = { audit: 'issued', ...rest, notAfter: new Date(notAfterMs).toISOString() };
    this.#log.info(told, 'certificate issued');
    this.#keep(told);
  }

  refused(record: RefusalRecord): void {
    this.counts.refused.set(record.code, (this.counts.refused.get(record.code) ?? 0) + 1);
    if (record.code === 'rate-limited' && !this.#flood.take('')) {
      this.#untold++;
      return;
    }
    const untold = this.#untold === 0 ? {} : { untold: this.#untold };
    this.#untold = 0;
    const told = { audit: 'refused', ...record, ...untold };
    this.#log.warn(told, 'certificate refused');
    this.#keep(told);
  }
}
