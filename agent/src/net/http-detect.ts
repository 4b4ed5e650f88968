/**
 * Whether a client speaks HTTP, from its first bytes, however they are split. Errs on the side of HTTP: what a lenient
 * server might take for a request must not slip past L7 policy. Invariant: never decides on a part that could still
 * become the other thing.
 */

export type HttpResult = 'more' | 'http/1.0' | 'http/1.1' | 'h2c' | 'not-http';

/** Longest request line that is waited for; a longer one without a line end counts as HTTP/1.1 and is refused there. */
export const maxRequestLineBytes = 65_536;

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const lf = 10;
const cr = 13;
const tab = 9;
const space = 32;

/** RFC 9110 5.6.2: what a method is made of. */
const isToken: readonly boolean[] = Array.from({ length: 256 }, (_, i) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(i)),
);

/** Length of the common start of bytes and the HTTP/2 preface. */
function prefaceMatch(bytes: Uint8Array): number {
  let i = 0;
  while (i < bytes.length && i < preface.length && bytes[i] === preface[i]) i++;
  return i;
}

/** The version of a whole line, or 'not-http'. */
function versionOf(line: string): HttpResult {
  const found = /[ \t]HTTP\/1\.([01])[ \t\r]*$/i.exec(line);
  if (found === null) return 'not-http';
  return found[1] === '0' ? 'http/1.0' : 'http/1.1';
}

/** Looks at the first bytes a client has sent. */
export function detectHttp(bytes: Uint8Array): HttpResult {
  const same = prefaceMatch(bytes);
  if (same === preface.length) return 'h2c';
  if (same === bytes.length) return 'more';
  let start = 0;
  while (bytes[start] === cr || bytes[start] === lf) start++; // RFC 9112 2.2: empty lines before the request
  let method = true;
  for (let i = start; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === lf) return versionOf(Buffer.from(bytes.subarray(start, i)).toString('latin1'));
    if (method && (byte === space || byte === tab) && i > start) method = false;
    else if (method && !(isToken[byte] ?? false)) return 'not-http';
    else if (byte < space && byte !== tab && byte !== cr) return 'not-http';
  }
  return bytes.length >= maxRequestLineBytes ? 'http/1.1' : 'more';
}
