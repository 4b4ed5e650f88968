/** Durations as the Gateway API writes them (GEP-2257): one to four numbers of up to five digits with h, m, s or ms. */
import { type Schema, text } from './schema.ts';

const form = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;
const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

export const duration: Schema<string> = text({
  noun: 'a duration such as 250ms, 10s or 1m30s',
  pattern: form,
  maxLength: 28,
});

/** Milliseconds of a duration that the schema accepted. */
export function durationMs(value: string): number {
  let total = 0;
  for (const m of value.matchAll(/([0-9]+)(ms|h|m|s)/g)) total += Number(m[1]) * (unitMs[m[2] ?? ''] ?? 0);
  return total;
}
