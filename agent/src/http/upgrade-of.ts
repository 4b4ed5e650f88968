/** The protocol that an HTTP/1.1 request wants to change to (RFC 9110 section 7.8), and where a CONNECT wants to go. */
import { tokenLower } from '../http1/character-classes.ts';
import type { Head } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';

/** The upgrade that a CONNECT is, as in Envoy's upgrade_configs. */
export const connectUpgrade = 'connect';

/** In lower case, or ''. An offer of h2c may be passed over. */
export function upgradeOf(head: Head): string {
  if (head.method === method.CONNECT) return connectUpgrade;
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

/**
 * `host:port` without a body (RFC 9112 section 3.2.3), and the Host says the same, or two readers could disagree about
 * the target.
 */
export function isConnectTarget(head: Head): boolean {
  if (head.transferEncodings > 0) return false;
  const target = head.text(head.targetStart, head.targetEnd);
  return /^[^:/?#@]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$/.test(target) && head.get('host') === target;
}
