/**
 * Whether a browser has been talked into asking: a page of another origin that posts to loopback (CSRF), or a name that
 * was made to resolve to it (DNS rebinding). Neither tool nor probe sends what is refused here.
 */
import type http from 'node:http';
import net from 'node:net';

/** The reason to refuse, or null. `loopback`: the interface listens on loopback only, so no other name is meant for it. */
export function foreignOrigin(headers: http.IncomingHttpHeaders, loopback: boolean): string | null {
  const { host = '', origin } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'a page of another site asks';
  if (origin !== undefined && origin !== `http://${host}`) return 'a page of another origin asks';
  if (loopback && !isLoopbackName(host)) return `${JSON.stringify(host.slice(0, 253))} is no name of this interface`;
  return null;
}

/** No Host at all (HTTP/1.0, a plain probe) comes from no browser. */
function isLoopbackName(host: string): boolean {
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === '' || name === 'localhost' || name.endsWith('.localhost') || net.isIP(name) !== 0;
}

/** An address that only this machine reaches. */
export function isLoopbackAddress(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1';
}
