/** The protocol that an HTTP/1.1 request wants to change to (RFC 9110 section 7.8). */
import { tokenLower } from '../http1/character-classes.ts';
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';

/** In lower case, or ''. An offer of h2c may be passed over. */
export function upgradeOf(head: Head): string {
  if (!head.connectionUpgrade || head.version !== 11) return '';
  const index = head.find(token.upgrade);
  if (index < 0) return '';
  const protocol = head.value(index).toLowerCase();
  return protocol === '' || protocol === 'h2c' || !isToken(protocol) ? '' : protocol;
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (tokenLower[text.charCodeAt(i)] === 0 && text[i] !== '/') return false;
  return true;
}
