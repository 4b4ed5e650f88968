/**
 * What each byte may be used for in HTTP/1.1 (RFC 9110 section 5, RFC 9112 sections 3 and 5), as tables of 256 entries.
 * A byte that is not listed is refused: an unknown byte is never passed on.
 */

/** Marks in `target`; 0 is refused, `plain` needs no further look. */
export const targetMark = {
  plain: 1,
  percent: 2,
  backslash: 4,
  fragment: 8,
  query: 16,
  slash: 32,
} as const;

function table(fill: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => fill(code));
}

const isLetter = (c: number): boolean => (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const oneOf = (text: string, c: number): boolean => text.includes(String.fromCharCode(c));

/** tchar of RFC 9110 section 5.6.2 to its lower case; 0 for everything else. */
export const tokenLower: Uint8Array = table((c) => {
  if (isLetter(c)) return c | 0x20;
  return isDigit(c) || oneOf("!#$%&'*+-.^_`|~", c) ? c : 0;
});

/** Bytes of a field value: visible ASCII, space, tab and obs-text; no CR, LF, NUL, other controls or DEL. */
export const valueByte: Uint8Array = table((c) => (c === 9 || (c >= 32 && c !== 127) ? 1 : 0));

/** Bytes of a request target: visible ASCII. The ones that normalisation cares about have a mark of their own. */
export const targetByte: Uint8Array = table((c) => {
  if (c <= 32 || c >= 127) return 0;
  if (c === 37) return targetMark.percent;
  if (c === 92) return targetMark.backslash;
  if (c === 35) return targetMark.fragment;
  if (c === 63) return targetMark.query;
  if (c === 47) return targetMark.slash;
  return targetMark.plain;
});

/** Bytes of a Host value: visible ASCII without the delimiters that could move the end of the authority. */
export const hostByte: Uint8Array = table((c) => (c > 32 && c < 127 && !oneOf('/?#\\<>', c) ? 1 : 0));

/** Hexadecimal digit to its value; 255 for everything else. */
export const hexValue: Uint8Array = table((c) => {
  if (isDigit(c)) return c - 48;
  const lower = c | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : 255;
});

export const hexDigits: Uint8Array = new TextEncoder().encode('0123456789abcdef');
