/** The certificates agents serve with, from their /certs page (Envoy's shape). Pure. */
import type { MeshPod } from './mesh-client.ts';

interface CertificateDetails {
  readonly serial_number?: string;
  readonly subject_alt_names?: readonly { readonly uri?: string; readonly dns?: string }[];
  readonly valid_from?: string;
  readonly expiration_time?: string;
}

/** GET /certs. */
export interface CertsPage {
  readonly certificates: readonly {
    readonly ca_cert?: readonly CertificateDetails[];
    readonly cert_chain?: readonly CertificateDetails[];
  }[];
}

export interface CertificateRow {
  readonly namespace: string;
  readonly pod: string;
  readonly spiffeId: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** Seconds; negative once expired. */
  readonly secondsLeft: number;
  readonly status: 'valid' | 'expiring' | 'expired';
  /** Serials of the trust anchors the agent holds. */
  readonly trustAnchors: readonly string[];
}

/** A certificate with less than a quarter of its life left should have been renewed. */
function statusOf(notBeforeMs: number, notAfterMs: number, nowMs: number): CertificateRow['status'] {
  if (nowMs >= notAfterMs) return 'expired';
  return notAfterMs - nowMs < (notAfterMs - notBeforeMs) / 4 ? 'expiring' : 'valid';
}

export function certificateRows(pod: MeshPod, page: CertsPage, nowMs: number): CertificateRow[] {
  const anchors = page.certificates.flatMap((c) => c.ca_cert ?? []).map((a) => a.serial_number ?? '');
  return page.certificates.flatMap((c) => {
    const leaf = c.cert_chain?.[0];
    if (leaf === undefined) return [];
    const notBeforeMs = Date.parse(leaf.valid_from ?? '');
    const notAfterMs = Date.parse(leaf.expiration_time ?? '');
    return [
      {
        namespace: pod.namespace,
        pod: pod.name,
        spiffeId: leaf.subject_alt_names?.find((n) => n.uri !== undefined)?.uri ?? '',
        serial: leaf.serial_number ?? '',
        notBefore: leaf.valid_from ?? '',
        notAfter: leaf.expiration_time ?? '',
        secondsLeft: Math.round((notAfterMs - nowMs) / 1000),
        status: statusOf(notBeforeMs, notAfterMs, nowMs),
        trustAnchors: [...new Set(anchors)],
      },
    ];
  });
}

/** `23h 59m`, `9m 12s`, `14s`; with a minus sign once it is over. */
export function spell(seconds: number): string {
  const s = Math.abs(seconds);
  const parts = [
    [Math.floor(s / 86_400), 'd'],
    [Math.floor(s / 3600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'm'],
    [s % 60, 's'],
  ] as const;
  const first = parts.findIndex(([n]) => n > 0);
  const shown =
    first === -1
      ? '0s'
      : parts
          .slice(first, first + 2)
          .map(([n, u]) => `${n}${u}`)
          .join(' ');
  return seconds < 0 ? `-${shown}` : shown;
}
