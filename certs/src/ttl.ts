/** Which lifetime a request gets. Invariant: a wish above the maximum is an error, never silently shortened. */
import { UserError } from '@chainmail/runtime';

export interface TtlRules {
  readonly defaultSeconds: number;
  readonly maxSeconds: number;
}

/** Below this a certificate would expire while its renewal is under way. */
const minTtlSeconds = 5;

export type TtlResult =
  | { readonly ok: true; readonly seconds: number }
  | { readonly ok: false; readonly reason: string };

/** 0 takes the default. */
export function chooseTtl(wanted: bigint, rules: TtlRules): TtlResult {
  if (wanted === 0n) return { ok: true, seconds: rules.defaultSeconds };
  if (wanted < BigInt(minTtlSeconds)) return { ok: false, reason: `the lifetime is below ${minTtlSeconds} s` };
  if (wanted > BigInt(rules.maxSeconds)) {
    return { ok: false, reason: `the lifetime of ${wanted} s is above the maximum of ${rules.maxSeconds} s` };
  }
  return { ok: true, seconds: Number(wanted) };
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `20s`, `30m`, `24h`, `90d` in seconds. @throws UserError BAD_DURATION */
export function parseTtl(text: string, flag: string): number {
  const match = /^(\d{1,7})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (units[match?.[2] ?? ''] ?? Number.NaN);
  if (Number.isNaN(seconds) || seconds < minTtlSeconds) {
    throw new UserError(
      'BAD_DURATION',
      `${flag}: ${JSON.stringify(text)} is not a lifetime of at least ${minTtlSeconds} s`,
      {
        hint: 'write a number and one of s, m, h, d, as in 24h',
      },
    );
  }
  return seconds;
}
