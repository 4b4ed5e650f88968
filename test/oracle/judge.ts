/** Decides about each difference: wanted and documented, or a failure. */
import fs from 'node:fs';
import path from 'node:path';
import { type Group, upstreamOf } from './case.ts';
import type { Part } from './compare.ts';
import { type Difference, differences, unlikeStatistics } from './differences.ts';

const doc = path.resolve(import.meta.dirname, '../../docs/envoy-differences.md');

export class Judge {
  readonly #seen = new Set<Difference>();
  readonly #failures: string[] = [];
  #passed = 0;
  #wanted = 0;

  compare(key: string, part: Part | 'statistics', agent: string, envoy: string): void {
    if (agent === envoy) {
      this.#passed++;
      return;
    }
    const known = differences.find((d) => d.parts.includes(part) && d.cases.test(key) && d.agent.test(agent));
    if (known === undefined) {
      this.#failures.push(`${key}: ${part}\n${indent(`agent:\n${indent(agent)}\nenvoy:\n${indent(envoy)}`)}`);
      return;
    }
    this.#seen.add(known);
    this.#wanted++;
    this.#passed++;
  }

  /** A check that is not a comparison. */
  check(what: string, holds: boolean, seen: string): void {
    if (holds) this.#passed++;
    else this.#failures.push(`${what}\n${indent(seen)}`);
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

  /** Prints what failed; whole: every listed difference must have been seen. The exit code. */
  report(whole: boolean): number {
    const text = fs.readFileSync(doc, 'utf8');
    for (const d of differences) {
      if (whole && !this.#seen.has(d)) this.#failures.push(`listed but not seen: ${d.cases} ${d.parts.join()}`);
      if (!text.includes(d.documented)) this.#failures.push(`not in docs/envoy-differences.md: ${d.documented}`);
    }
    for (const failure of this.#failures) console.log(`NOT OK ${failure}`);
    console.log(`${this.#wanted} differences are wanted, with their reasons in docs/envoy-differences.md`);
    console.log(`${this.#passed} passed, ${this.#failures.length} failed`);
    return this.#failures.length === 0 ? 0 : 1;
  }
}

const indent = (text: string): string => text.replace(/^/gm, '  ');
