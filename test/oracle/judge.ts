/** Decides about each difference: wanted and documented, or a failure. */
import fs from 'node:fs';
import path from 'node:path';
import { type Group, upstreamOf } from './case.ts';
import type { Part } from './compare.ts';
import { type Difference, differences, unlikeStatistics } from './differences.ts';

const doc = path.resolve(import.meta.dirname, '../../docs/envoy-differences.md');

/** Far above what any part of a run takes: one that never ends must be told by its name, and not end the others. */
const longestMs = 240_000;

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

  /** Runs a part of the comparisons; that it throws or does not end is a failure of its own. */
  async attempt(name: string, run: () => Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it has not ended within ${longestMs / 1000} s`)), longestMs);
    });
    try {
      await Promise.race([run(), late]);
    } catch (error) {
      this.#failures.push({ name, seen: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Counters of each group, in total: cases run side by side. */
  statistics(groups: readonly Group[], agent: ReadonlyMap<string, number>, envoy: ReadonlyMap<string, number>): void {
    for (const { name } of groups) {
      for (const prefix of [`http.${name}.`, `cluster.${upstreamOf(name)}.`, `vhost.${name}.`]) {
        const names = [...new Set([...agent.keys(), ...envoy.keys()])].filter((n) => n.startsWith(prefix)).sort();
        for (const stat of names.filter((n) => !unlikeStatistics.test(n))) {
          const [ours, theirs] = [agent.get(stat) ?? 0, envoy.get(stat) ?? 0];
          if (ours !== 0 || theirs !== 0) this.compare(stat, 'statistics', String(ours), String(theirs));
        }
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

const indent = (text: string): string => text.replace(/^/gm, '  ');
