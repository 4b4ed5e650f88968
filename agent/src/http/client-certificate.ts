/**
 * x-forwarded-client-cert: what is passed on about the caller's certificate. Without a verified client certificate a
 * received header is a claim of a stranger and is removed in every mode but always_forward_only.
 */
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import type { HttpConnectionManagerSpec } from '../model/http.ts';
import type { ConnectionInfo } from '../net/stream.ts';

type Rules = Pick<HttpConnectionManagerSpec, 'forwardClientCert' | 'clientCertDetails'>;

const name = 'x-forwarded-client-cert';
const xfcc = token[name];

const elements = new WeakMap<ConnectionInfo, string>();

export function settleClientCertificate(head: Head, rules: Rules, connection: ConnectionInfo): void {
  switch (rules.forwardClientCert) {
    case 'always_forward_only':
      return;
    case 'sanitize':
      head.remove(xfcc);
      return;
    case 'forward_only':
      if (!isVerified(connection)) head.remove(xfcc);
      return;
    case 'append_forward':
    case 'sanitize_set':
      setElement(head, rules, connection);
      return;
  }
}

function isVerified(connection: ConnectionInfo): boolean {
  return connection.tlsVersion !== '' && connection.peerCertificateSha256() !== '';
}

function setElement(head: Head, rules: Rules, connection: ConnectionInfo): void {
  if (!isVerified(connection)) {
    head.remove(xfcc);
    return;
  }
  let element = elements.get(connection);
  if (element === undefined) {
    element = describe(rules, connection);
    elements.set(connection, element);
  }
  const before = rules.forwardClientCert === 'append_forward' ? head.getAll(name).join(',') : '';
  head.set(name, before === '' ? element : `${before},${element}`);
}

/** By, Hash, Cert, Chain, Subject, URI, DNS, in Envoy's order; an asked-for URI that is not there is empty. */
function describe(rules: Rules, connection: ConnectionInfo): string {
  const details = new Set(rules.clientCertDetails);
  const parts: string[] = [];
  if (connection.localPrincipal !== '') parts.push(`By=${connection.localPrincipal}`);
  parts.push(`Hash=${connection.peerCertificateSha256()}`);
  if (details.has('cert')) parts.push(`Cert="${encodeURIComponent(connection.peerCertificatePem())}"`);
  if (details.has('chain')) parts.push(`Chain="${encodeURIComponent(connection.peerChainPem())}"`);
  if (details.has('subject')) parts.push(`Subject="${connection.peerSubject().replace(/["\\]/g, '\\$&')}"`);
  if (details.has('uri')) parts.push(...named('URI', connection.peerUris(), 'URI='));
  if (details.has('dns')) parts.push(...named('DNS', connection.peerDnsNames(), null));
  return parts.join(';').replace(/[\r\n\0]/g, '');
}

/** One element for each name; `empty` when there is none. A name may not end its element or start another. */
function named(key: string, names: readonly string[], empty: string | null): readonly string[] {
  if (names.length === 0) return empty === null ? [] : [empty];
  return names.map((name) => `${key}=${/[;,="]/.test(name) ? `"${name.replace(/["\\]/g, '\\$&')}"` : name}`);
}
