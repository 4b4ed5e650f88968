/** What was sent of each message, by its mark, so that whoever gets its end can tell whether that is all of it. */
import { insist } from './peers.ts';

interface Entry {
  bytes: number;
  ended: boolean;
  /** Broken, or without an end that could be told from a connection's. */
  open: boolean;
}

export class Ledger {
  readonly #entries = new Map<string, Entry>();

  /** A message begins; of answers, it may be another attempt's. open: nobody can say what is all of it. */
  begin(mark: string, open: boolean): void {
    this.#entries.set(mark, { bytes: 0, ended: false, open });
  }

  sent(mark: string, bytes: number, last: boolean): void {
    const entry = this.#entries.get(mark);
    if (entry === undefined) return;
    entry.bytes += bytes;
    if (last) entry.ended = true;
  }

  /** Its sender has sent something that it should not. */
  spoil(mark: string): void {
    this.begin(mark, true);
  }

  /** Somebody has got the end of it, and so many bytes. */
  check(mark: string, bytes: number, where: string): void {
    const entry = this.#entries.get(mark);
    if (entry === undefined || entry.open) return;
    insist(entry.ended, `${where}: ${mark} was taken for whole with ${bytes} bytes`);
    insist(entry.bytes === bytes, `${where}: ${bytes} bytes of ${mark}, not ${entry.bytes}`);
  }
}

/** Those of requests, and of answers. */
export interface Ledgers {
  readonly requests: Ledger;
  readonly answers: Ledger;
}

export const newLedgers = (): Ledgers => ({ requests: new Ledger(), answers: new Ledger() });
