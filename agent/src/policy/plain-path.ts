/**
 * Paths that every application reads in one way, compared as bytes: nearly all are, and a request whose path is compared
 * so needs no string for it. What is not plain is left to the readings of path-readings.ts.
 */
import { ByteRange, type RequestView } from '../http/request-view.ts';
import type { StringMatchSpec } from '../model/tls.ts';

export type PlainVerdict = 'yes' | 'no' | 'not plain';

/** 1 for bytes after which a path may have another reading or an end, and for those that are not ASCII. */
const telling = new Uint8Array(256).fill(1, 128);
for (const character of '#%;\\') telling[character.charCodeAt(0)] = 1;

/** Good for one comparison. */
const range = new ByteRange();

/** Null for what has to be compared as text. */
export function compilePlainPath(spec: StringMatchSpec): ((view: RequestView) => PlainVerdict) | null {
  const { kind, value, ignoreCase } = spec;
  if (ignoreCase || (kind !== 'exact' && kind !== 'prefix')) return null;
  const wanted = Buffer.from(value);
  if (wanted.some((byte) => byte >= 128)) return null;
  return (view) => {
    if (!view.locatePath(range) || range.end === range.start || !isPlain(range)) return 'not plain';
    const isLonger = range.end - range.start > wanted.length;
    return range.startsWith(wanted) && (kind === 'prefix' || !isLonger) ? 'yes' : 'no';
  };
}

function isPlain({ bytes, start, end }: ByteRange): boolean {
  for (let i = start; i < end; i++) if (telling[bytes[i] as number] === 1) return false;
  return true;
}
