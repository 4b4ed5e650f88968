/** GET /certs: every certificate the workers hold, with its names and dates, in Envoy's shape. */
import { X509Certificate } from 'node:crypto';
import type { SecretSpec } from '../model/tls.ts';
import { type AdminResponse, json } from './command.ts';

const dayMs = 86_400_000;
const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

export function certsResponse(secrets: Iterable<SecretSpec>, nowMs: number): AdminResponse {
  const certificates = [...secrets].map((secret) =>
    secret.kind === 'trust'
      ? { name: secret.name, ca_cert: details(secret.bundlePem, nowMs), cert_chain: [] }
      : { name: secret.name, ca_cert: [], cert_chain: details(secret.chainPem, nowMs) },
  );
  return json({ certificates });
}

function details(pem: string, nowMs: number): readonly unknown[] {
  return (pem.match(pemBlock) ?? []).map((block) => {
    const certificate = new X509Certificate(block);
    const from = Date.parse(certificate.validFrom);
    const to = Date.parse(certificate.validTo);
    return {
      path: '<inline>',
      serial_number: certificate.serialNumber.toLowerCase(),
      subject_alt_names: names(certificate.subjectAltName ?? ''),
      days_until_expiration: String(Math.max(0, Math.floor((to - nowMs) / dayMs))),
      valid_from: new Date(from).toISOString(),
      expiration_time: new Date(to).toISOString(),
      sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    };
  });
}

/** For display only: nothing is decided on printed names. */
function names(printed: string): readonly unknown[] {
  return printed
    .split(', ')
    .filter((name) => name !== '')
    .map((name) => {
      const colon = name.indexOf(':');
      const value = name.slice(colon + 1);
      const kind = name.slice(0, colon);
      return kind === 'URI' ? { uri: value } : kind === 'DNS' ? { dns: value } : { ip_address: value };
    });
}
