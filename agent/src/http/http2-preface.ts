/** Whether a connection begins with the preface of HTTP/2 (RFC 9113 section 3.4). */
import { clientPreface } from '../http2/frame.ts';

/** part: so far, yes; no HTTP/1.1 request begins like the whole of it. */
export function matchPreface(b: Uint8Array, start: number, end: number): 'whole' | 'part' | 'no' {
  const length = Math.min(end - start, clientPreface.length);
  for (let i = 0; i < length; i++) if (b[start + i] !== clientPreface[i]) return 'no';
  return length === clientPreface.length ? 'whole' : 'part';
}
