/** How the ADS server is reached, from its cluster in the bootstrap: addresses, TLS and who it must be. */
import type { WorkloadIdentity } from '@chainmail/pki';
import { summarizeCertificate } from '@chainmail/pki';
import { system, UserError } from '@chainmail/runtime';
import { type ClientTls, spiffeConnection } from '@chainmail/xds/rpc';
import { addressText } from '../config/address.ts';
import type { ClusterResource } from '../config/resources.ts';
import type { SecretSpec, SubjectAltNameMatchSpec, UpstreamTlsSpec } from '../model/tls.ts';
import { isIP } from '../sys/ip-text.ts';
import type { AdsChannelOptions } from './ads-channel.ts';

/** An address cannot be a server name in TLS; who the server is, its certificate says. */
const nameForAddress = `${system.controlServiceAccount}.${system.namespace}.svc`;

/** @param secrets of the bootstrap, for certificates that do not stand in the cluster itself */
export function adsEndpoint(
  cluster: ClusterResource,
  secrets: readonly SecretSpec[],
  identity: WorkloadIdentity | null,
): AdsChannelOptions {
  const { spec, source } = cluster;
  const endpoints = source.kind === 'dns' ? source.dns.endpoints : source.kind === 'static' ? source.endpoints : [];
  const addresses = endpoints.map((e) => addressText(e.address));
  if (addresses.length === 0) throw new UserError('CONFIG_INVALID', `cluster '${spec.name}' has no endpoint for ADS`);
  const host = endpoints[0]?.address.ip ?? '';
  const serverName = spec.tls?.sni || (isIP(host) ? nameForAddress : host);
  if (spec.tls === null) return { addresses, serverName, tls: null };
  if (spec.tls.requireSvid) return { addresses, serverName, tls: meshTls(spec.tls, identity) };
  const made = fileTls(spec.tls, [...cluster.secrets, ...secrets]);
  return { addresses, serverName, tls: () => made };
}

function meshTls(tls: UpstreamTlsSpec, identity: WorkloadIdentity | null): () => ClientTls {
  if (identity === null)
    throw new UserError('CONFIG_INVALID', 'ADS over the mesh identity needs `chainmail-agent sidecar`');
  const expected = exactNames(tls.subjectAltNames, 'uri');
  return () =>
    spiffeConnection({
      bundles: () => {
        const material = identity.current();
        if (material === undefined) throw new Error('no valid certificate of our own');
        return [material.bundle];
      },
      identity: () => identity.current(),
      expected,
    });
}

/** Only exact names: a server that hands out policy is named, not described. */
function exactNames(matches: readonly SubjectAltNameMatchSpec[], type: 'uri' | 'dns'): readonly string[] {
  return matches.map(({ type: t, match }) => {
    if (t === type && match.kind === 'exact' && !match.ignoreCase) return match.value;
    throw new UserError(
      'CONFIG_UNSUPPORTED',
      `ADS: only exact ${type.toUpperCase()} names of the server are implemented`,
    );
  });
}

function fileTls(tls: UpstreamTlsSpec, secrets: readonly SecretSpec[]): ClientTls {
  const trust = secrets.find((s) => s.name === tls.trustedCa && s.kind === 'trust');
  if (trust?.kind !== 'trust') throw new UserError('CONFIG_INVALID', 'ADS over TLS needs a trusted_ca');
  const own = secrets.find((s) => s.kind === 'certificate' && tls.certificates.includes(s.name));
  const pair = own?.kind === 'certificate' ? { key: own.keyPem, cert: own.chainPem } : {};
  const uris = exactNames(
    tls.subjectAltNames.filter((s) => s.type === 'uri'),
    'uri',
  );
  const names = exactNames(
    tls.subjectAltNames.filter((s) => s.type !== 'uri'),
    'dns',
  );
  return {
    context: { ca: trust.bundlePem, ...pair },
    checkServerIdentity: (_host, certificate) => {
      if (uris.length + names.length === 0) return undefined;
      const { spiffeId, dnsNames } = summarizeCertificate(certificate.raw);
      const fits = (spiffeId !== null && uris.includes(spiffeId)) || dnsNames.some((n) => names.includes(n));
      return fits ? undefined : new Error('the server has none of the names it must have');
    },
  };
}
