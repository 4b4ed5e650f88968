/** The protocol that an HTTP/1.1 request wants to change to (RFC 9110 section 7.8), and where a CONNECT wants to go. */
import type { Head } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';

/** The upgrade that a CONNECT is, as in Envoy's upgrade_configs. */
export const connectUpgrade = 'connect';

/** In lower case, or ''. An offer of h2c may be passed over; one of several protocols is named as no configuration does. */
export function upgradeOf(head: Head): string {
  if (head.method === method.CONNECT) return connectUpgrade;
  if (!head.connectionUpgrade || head.version !== 11 || !head.has(token.upgrade)) return '';
  const protocols = head.getAll('upgrade').join(', ').toLowerCase();
  return protocols === 'h2c' ? '' : protocols;
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
