/** Decides about each difference: wanted and documented, or a failure. */
import fs from 'node:fs';
import path from 'node:path';
import { type Group, upstreamOf } from './case.ts';
import type { Part } from './compare.ts';
import { type Difference, differences, unlikeStatistics } from './differences.ts';

const doc = path.resolve(import.meta.dirname, '../../docs/envoy-differences.md');

/** Far above what any part of a run takes: one that never ends must be told by its name, and not end the others. */
const longestMs = 400_000;
/** How often what differs is asked. */
export const rounds = 3;

interface Failure {
  readonly name: string;
  /** What was seen, in lines. */
  readonly seen: string;
}

export class Judge {
  readonly #seen = new Set<Difference>();
  readonly #failures: Failure[] = [];
  #passed = 0;
  #wanted = 0;

  compare(key: string, part: Part | 'statistics', agent: string, envoy: string): void {
    if (agent === envoy) {
      this.#passed++;
      return;
    }
    const known = differences.find((d) => d.parts.includes(part) && d.cases.test(key) && d.agent.test(agent));
    if (known === undefined) {
      this.#failures.push({ name: `${key}: ${part}`, seen: `agent:\n${indent(agent)}\nenvoy:\n${indent(envoy)}` });
      return;
    }
    this.#seen.add(known);
    this.#wanted++;
    this.#passed++;
  }

  /** A check that is not a comparison. */
  check(what: string, holds: boolean, seen: string): void {
    if (holds) this.#passed++;
    else this.#failures.push({ name: what, seen });
  }

  /** Names of what has failed. */
  get failed(): readonly string[] {
    return this.#failures.map((f) => f.name);
  }

  /** Takes what another has found for its own. */
  absorb(other: Judge): void {
    for (const d of other.#seen) this.#seen.add(d);
    this.#failures.push(...other.#failures);
    this.#passed += other.#passed;
    this.#wanted += other.#wanted;
  }

  /**
   * Runs a part of the comparisons, again when something differs: times and orders on a busy machine are its own, and
   * what a proxy does wrong it does again. That the part throws or does not end is a failure too.
   */
  async attempt(name: string, run: (own: Judge) => Promise<void>, most = rounds): Promise<void> {
    for (let round = 1; ; round++) {
      const own = new Judge();
      const hasEnded = await own.#bounded(name, run);
      if (own.#failures.length === 0 || round === most || !hasEnded) {
        this.absorb(own);
        return;
      }
      showAgain(own);
    }
  }

  /** False when it did not end. */
  async #bounded(name: string, run: (own: Judge) => Promise<void>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((done) => {
      timer = setTimeout(() => done('late'), longestMs);
    });
    const fail = (seen: string): void => void this.#failures.push({ name, seen });
    try {
      const hasEnded = (await Promise.race([run(this), late])) !== 'late';
      if (!hasEnded) fail(`it has not ended within ${longestMs / 1000} s`);
      return hasEnded;
    } catch (error) {
      fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return true;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Counters of a group, in total: cases run side by side. */
  statistics({ name }: Group, agent: ReadonlyMap<string, number>, envoy: ReadonlyMap<string, number>): void {
    for (const prefix of [`http.${name}.`, `cluster.${upstreamOf(name)}.`, `vhost.${name}.`]) {
      const names = [...new Set([...agent.keys(), ...envoy.keys()])].filter((n) => n.startsWith(prefix)).sort();
      for (const stat of names.filter((n) => !unlikeStatistics.test(n))) {
        const [ours, theirs] = [agent.get(stat) ?? 0, envoy.get(stat) ?? 0];
        if (ours !== 0 || theirs !== 0) this.compare(stat, 'statistics', String(ours), String(theirs));
      }
    }
  }

  /** Prints what failed, and the names again at the end; whole: every listed difference must have been seen. The exit code. */
  report(whole: boolean): number {
    const text = fs.readFileSync(doc, 'utf8');
    for (const d of differences) {
      const name = `${d.cases} ${d.parts.join()}`;
      if (whole && !this.#seen.has(d))
        this.#failures.push({ name: `listed but not seen: ${name}`, seen: d.documented });
      if (!text.includes(d.documented)) {
        this.#failures.push({ name: `not in docs/envoy-differences.md: ${name}`, seen: d.documented });
      }
    }
    for (const { name, seen } of this.#failures) console.log(`NOT OK ${name}\n${indent(seen)}`);
    for (const { name } of this.#failures) console.log(`FAILED: ${name}`);
    console.log(`${this.#wanted} differences are wanted, with their reasons in docs/envoy-differences.md`);
    console.log(`${this.#passed} passed, ${this.#failures.length} failed`);
    return this.#failures.length === 0 ? 0 : 1;
  }
}

/** Says that something is asked again, and why. */
export function showAgain(judge: Judge): void {
  console.log(`asked again: ${judge.failed.join(', ')}`);
}

const indent = (text: string): string => text.replace(/^/gm, '  ');
