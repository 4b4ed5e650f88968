/**
 * START_TIME's formats: the strftime letters that name a moment in UTC, with Envoy's fractions of a second (`%E3S`,
 * `%3f`) and `%s`. The part above the second is kept, since thousands of lines share it.
 */
import { UserError } from '@chainmail/runtime/errors';

export type TimeFormat = (timeMs: number) => string;

export const defaultTimeFormat = '%Y-%m-%dT%H:%M:%E3SZ';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

const letters: Readonly<Record<string, (date: Date) => string>> = {
  Y: (d) => String(d.getUTCFullYear()),
  y: (d) => two(d.getUTCFullYear() % 100),
  m: (d) => two(d.getUTCMonth() + 1),
  d: (d) => two(d.getUTCDate()),
  e: (d) => String(d.getUTCDate()).padStart(2, ' '),
  H: (d) => two(d.getUTCHours()),
  I: (d) => two(d.getUTCHours() % 12 || 12),
  M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()),
  p: (d) => (d.getUTCHours() < 12 ? 'AM' : 'PM'),
  a: (d) => (days[d.getUTCDay()] ?? '').slice(0, 3),
  A: (d) => days[d.getUTCDay()] ?? '',
  b: (d) => (months[d.getUTCMonth()] ?? '').slice(0, 3),
  B: (d) => months[d.getUTCMonth()] ?? '',
  F: (d) => d.toISOString().slice(0, 10),
  T: (d) => d.toISOString().slice(11, 19),
  z: () => '+0000',
  Z: () => 'UTC',
  s: (d) => String(Math.floor(d.getTime() / 1000)),
  '%': () => '%',
};

type Part =
  | { readonly kind: 'whole'; readonly text: (date: Date) => string }
  | { readonly kind: 'digits'; readonly count: number };

/**
 * Compiles a time format; '' is Envoy's default, milliseconds in ISO form.
 * @throws UserError LOG_FORMAT_INVALID for a letter that is not known
 */
export function compileTimeFormat(format: string): TimeFormat {
  const parts = parse(format === '' ? defaultTimeFormat : format);
  let second = Number.NaN;
  let texts: readonly string[] = [];
  let shownMs = Number.NaN;
  let shown = '';
  return (timeMs) => {
    if (timeMs === shownMs) return shown;
    const now = Math.floor(timeMs / 1000);
    if (now !== second) {
      const date = new Date(now * 1000);
      texts = parts.map((part) => (part.kind === 'whole' ? part.text(date) : ''));
      second = now;
    }
    const milliseconds = Math.floor(timeMs) - now * 1000;
    let out = '';
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i];
      out += part?.kind === 'digits' ? fraction(milliseconds, part.count) : (texts[i] ?? '');
    }
    shownMs = timeMs;
    shown = out;
    return out;
  };
}

function fraction(milliseconds: number, digits: number): string {
  const three =
    milliseconds < 10 ? `00${milliseconds}` : milliseconds < 100 ? `0${milliseconds}` : String(milliseconds);
  return digits <= 3 ? three.slice(0, digits) : three.padEnd(digits, '0');
}

function parse(format: string): readonly Part[] {
  const parts: Part[] = [];
  const whole = (text: (date: Date) => string): void => {
    const last = parts.at(-1);
    if (last?.kind !== 'whole') parts.push({ kind: 'whole', text });
    else parts[parts.length - 1] = { kind: 'whole', text: (date) => last.text(date) + text(date) };
  };
  const seconds = letters['S'];
  for (const [piece, digits, fractionOnly, letter] of format.matchAll(/%E([1-9])S|%([1-9])?f|%(.)|[^%]+|%$/gs)) {
    const known = letter === undefined ? undefined : letters[letter];
    if (digits !== undefined && seconds !== undefined) {
      whole((date) => `${seconds(date)}.`);
      parts.push({ kind: 'digits', count: Number(digits) });
    } else if (fractionOnly !== undefined || piece === '%f')
      parts.push({ kind: 'digits', count: Number(fractionOnly ?? 9) });
    else if (known !== undefined) whole(known);
    else if (piece.startsWith('%')) throw unknownLetter(format, piece);
    else whole(() => piece);
  }
  return parts;
}

function unknownLetter(format: string, piece: string): UserError {
  return new UserError('LOG_FORMAT_INVALID', `START_TIME(${format}): '${piece}' is not supported`, {
    hint: `use ${Object.keys(letters).join(' ')}, E1S to E9S, 1f to 9f`,
  });
}
