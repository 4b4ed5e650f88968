/**
 * Transport sockets: TLS contexts of either side, and raw_buffer. Material in the configuration becomes a secret of a
 * made-up name; SDS names stay, and the secret arrives apart.
 */
import { getCiphers } from 'node:tls';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { TransportSocket } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { ProxyProtocolUpstreamTransport } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol';
import type { RawBuffer } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer';
import type { TlsParameters } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/common';
import type {
  CommonTlsContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/tls';
import type {
  DownstreamTlsSpec,
  PeerRulesSpec,
  SubjectAltNameMatchSpec,
  TlsCommonSpec,
  UpstreamTlsSpec,
} from '../model/tls.ts';
import { type CompileContext, contentHash } from './compile-context.ts';
import { type Extension, extension, type MessageReader } from './message-reader.ts';
import { readProxyVersion } from './proxy-version.ts';
import { readCertificate, readSds, readValidation } from './tls-secret.ts';

type Version = TlsCommonSpec['minVersion'];
type Versions = Pick<TlsCommonSpec, 'minVersion' | 'maxVersion' | 'ciphers' | 'groups'>;

/** null is plaintext. */
export function readDownstreamSocket(
  r: MessageReader<TransportSocket>,
  context: CompileContext,
): DownstreamTlsSpec | null {
  return r.extension('typedConfig', socketConfig(r), [
    rawBuffer,
    extension<DownstreamTlsContext, DownstreamTlsSpec>(
      'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      (t) => readDownstreamTls(t, context),
    ),
  ]);
}

/** What a cluster's protocol asks of its TLS contexts. */
export interface TlsWishes {
  readonly autoSni: boolean;
  /** Offered where the context itself says nothing. */
  readonly alpn: readonly string[];
}

export interface UpstreamSocket {
  /** null is plaintext. */
  readonly tls: UpstreamTlsSpec | null;
  readonly proxyProtocol: 'v1' | 'v2' | null;
}

/** A socket by itself, or wrapped into one that sends a PROXY header first. */
export function readUpstreamSocket(
  r: MessageReader<TransportSocket>,
  wishes: TlsWishes,
  context: CompileContext,
): UpstreamSocket {
  return r.extension<UpstreamSocket>('typedConfig', socketConfig(r), [
    ...innerSockets(wishes, context).map((e) => ({
      typeName: e.typeName,
      read: (m: Parameters<typeof e.read>[0]) => ({ tls: e.read(m), proxyProtocol: null }),
    })),
    extension<ProxyProtocolUpstreamTransport, UpstreamSocket>(
      'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport',
      (p) => ({
        tls: p.required('transportSocket', (s) =>
          s.extension('typedConfig', socketConfig(s), innerSockets(wishes, context)),
        ),
        proxyProtocol: p.inside('config', readProxyVersion) ?? 'v1',
      }),
    ),
  ]);
}

function innerSockets(wishes: TlsWishes, context: CompileContext): readonly Extension<UpstreamTlsSpec | null>[] {
  return [
    rawBuffer,
    extension<UpstreamTlsContext, UpstreamTlsSpec>(
      'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      (t) => readUpstreamTls(t, wishes, context),
    ),
  ];
}

const rawBuffer: Extension<null> = extension<RawBuffer, null>(
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
  () => null,
);

function socketConfig(r: MessageReader<TransportSocket>): Any {
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  return config.value;
}

function readDownstreamTls(r: MessageReader<DownstreamTlsContext>, context: CompileContext): DownstreamTlsSpec {
  r.only('requireSni', false);
  r.only('fullScanCertsOnSniMismatch', false);
  r.oneOf('ocspStaplePolicy', { LENIENT_STAPLING: null });
  const tickets = r.take('sessionTicketKeysType');
  // Tickets are off here in any case; asking for them by key is refused.
  if (tickets.case !== undefined && tickets.case !== 'disableStatelessSessionResumption')
    throw r.unsupported(tickets.case);
  const requireClientCertificate = r.take('requireClientCertificate') ?? false;
  const common = r.required('commonTlsContext', (c) => readCommon(c, 'TLSv1_3', context));
  if (common.certificates.length === 0)
    throw r.invalid('commonTlsContext', 'No TLS certificates found for server context');
  if (requireClientCertificate && common.trustedCa === null && !isPinned(common)) {
    throw r.invalid('requireClientCertificate', 'needs a trusted_ca: without one every certificate would do');
  }
  return { ...common, requireClientCertificate };
}

function isPinned({ peerRules }: TlsCommonSpec): boolean {
  return peerRules !== undefined && peerRules.certificateHashes.length + peerRules.spkiHashes.length > 0;
}

function readUpstreamTls(
  r: MessageReader<UpstreamTlsContext>,
  wishes: TlsWishes,
  context: CompileContext,
): UpstreamTlsSpec {
  r.only('allowRenegotiation', false);
  const common = r.inside('commonTlsContext', (c) => readCommon(c, 'TLSv1_2', context)) ?? noCommon;
  const alpn = common.alpn.length > 0 ? common.alpn : wishes.alpn;
  const spec = { ...common, alpn, sni: r.take('sni'), autoSni: wishes.autoSni };
  return { ...spec, key: contentHash(spec) };
}

const noCommon: TlsCommonSpec = {
  minVersion: 'TLSv1_2',
  maxVersion: 'TLSv1_2',
  ciphers: '',
  groups: '',
  alpn: [],
  certificates: [],
  trustedCa: null,
  subjectAltNames: [],
  requireSvid: false,
};

/** @param autoMax what TLS_AUTO means as a maximum: 1.3 for a server, 1.2 for a client, as in Envoy. */
function readCommon(r: MessageReader<CommonTlsContext>, autoMax: Version, context: CompileContext): TlsCommonSpec {
  const versions = r.inside('tlsParams', (p) => readParameters(p, autoMax));
  const inline = r.each('tlsCertificates', (c) =>
    context.inlineSecret({ kind: 'certificate', ...readCertificate(c, context) }),
  );
  const sds = r.each('tlsCertificateSdsSecretConfigs', (s) => readSds(s, context).name);
  return {
    ...(versions ?? { minVersion: 'TLSv1_2', maxVersion: autoMax, ciphers: '', groups: '' }),
    alpn: r.take('alpnProtocols'),
    certificates: [...inline, ...sds],
    ...readTrust(r, context),
  };
}

type Trust = Pick<TlsCommonSpec, 'trustedCa' | 'subjectAltNames' | 'requireSvid' | 'peerRules'>;

const withRules = (peerRules: PeerRulesSpec | undefined): Pick<Trust, 'peerRules'> =>
  peerRules === undefined ? {} : { peerRules };

function readTrust(r: MessageReader<CommonTlsContext>, context: CompileContext): Trust {
  const type = r.take('validationContextType');
  switch (type.case) {
    case undefined:
      return { trustedCa: null, subjectAltNames: [], requireSvid: false };
    case 'validationContext':
      return r.within('validationContext', type.value, (v) => {
        const { bundlePem, crlPem, subjectAltNames, peerRules } = readValidation(v, context);
        if (bundlePem === null) refuseNamesWithoutAnchor(v, subjectAltNames);
        const crl = crlPem === null ? {} : { crlPem };
        const trustedCa = bundlePem === null ? null : context.inlineSecret({ kind: 'trust', bundlePem, ...crl });
        return { trustedCa, subjectAltNames, requireSvid: false, ...withRules(peerRules) };
      });
    case 'validationContextSdsSecretConfig': {
      const { name, mesh } = r.within('validationContextSdsSecretConfig', type.value, (s) => readSds(s, context));
      return { trustedCa: name, subjectAltNames: [], requireSvid: mesh };
    }
    case 'combinedValidationContext':
      return r.within('combinedValidationContext', type.value, (c) => {
        const base = c.required('defaultValidationContext', (v) => {
          if (v.isSet('trustedCa')) throw v.unsupported('trustedCa', 'comes from the SDS secret here');
          if (v.isSet('crl')) throw v.unsupported('crl', 'comes from the SDS secret here');
          return readValidation(v, context);
        });
        const { name, mesh } = c.required('validationContextSdsSecretConfig', (s) => readSds(s, context));
        const { peerRules, subjectAltNames } = base;
        if (mesh && (peerRules?.allowExpired === true || peerRules?.acceptUntrusted === true)) {
          throw c.invalid('defaultValidationContext', 'a peer of the mesh must have a certificate that is valid now');
        }
        return { trustedCa: name, subjectAltNames, requireSvid: mesh, ...withRules(peerRules) };
      });
    default:
      throw r.unsupported(type.case);
  }
}

function refuseNamesWithoutAnchor(
  r: { invalid(n: string, m: string): Error },
  names: readonly SubjectAltNameMatchSpec[],
): void {
  if (names.length > 0)
    throw r.invalid('trustedCa', 'SAN-based verification without trusted CA is insecure and not allowed');
}

const versionOf = { TLSv1_2: 'TLSv1_2', TLSv1_3: 'TLSv1_3', TLS_AUTO: null } as const;

function readParameters(r: MessageReader<TlsParameters>, autoMax: Version): Versions {
  const minVersion = r.oneOf('tlsMinimumProtocolVersion', versionOf) ?? 'TLSv1_2';
  const asked = r.oneOf('tlsMaximumProtocolVersion', versionOf);
  const maxVersion = asked ?? (minVersion > autoMax ? minVersion : autoMax);
  if (minVersion > maxVersion) throw r.invalid('tlsMinimumProtocolVersion', 'is above tls_maximum_protocol_version');
  return { minVersion, maxVersion, ciphers: cipherList(r), groups: groupList(r) };
}

/** OpenSSL itself would pass over names it does not know, as long as one is good. */
const knownCiphers: ReadonlySet<string> = new Set(getCiphers());
const knownGroups = [
  ...['X25519MLKEM768', 'SecP256r1MLKEM768', 'SecP384r1MLKEM1024', 'X25519', 'X448', 'P-256', 'P-384', 'P-521'],
];

/** BoringSSL's groups of equal preference, `[A|B]`, become a plain order. */
function cipherList(r: MessageReader<TlsParameters>): string {
  const names = r.take('cipherSuites').flatMap((c) => c.replace(/^\[(.*)\]$/, '$1').split('|'));
  const bad = names.find((n) => !knownCiphers.has(n.toLowerCase()));
  if (bad !== undefined) throw r.invalid('cipherSuites', `'${bad}' is not the name of a cipher suite`);
  return names.join(':');
}

function groupList(r: MessageReader<TlsParameters>): string {
  const names = r.take('ecdhCurves');
  const bad = names.find((n) => !knownGroups.includes(n));
  if (bad !== undefined) throw r.invalid('ecdhCurves', `'${bad}' is not one of ${knownGroups.join(', ')}`);
  return names.join(':');
}
