/** Certificates and trust anchors, as they stand in a TLS context or in a secret, and where SDS has them from. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { messageOf, xdsNames } from '@chainmail/runtime';
import type {
  CertificateValidationContext,
  SubjectAltNameMatcher,
  TlsCertificate,
} from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/common';
import type { SdsSecretConfig, Secret } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/secret';
import type { PeerRulesSpec, SecretSpec, SubjectAltNameMatchSpec } from '../model/tls.ts';
import type { CompileContext } from './compile-context.ts';
import { readSecretSource } from './config-source.ts';
import { readDataSource } from './data-source.ts';
import type { MessageReader } from './message-reader.ts';
import { secretFile } from './secret-file.ts';
import { readStringMatch } from './string-match.ts';

const sanTypes = { EMAIL: 'email', DNS: 'dns', URI: 'uri', IP_ADDRESS: 'ip' } as const;

export interface CertificateText {
  readonly chainPem: string;
  readonly keyPem: string;
}

/** The key must be that of the leaf: found here, not at the first handshake. */
export function readCertificate(r: MessageReader<TlsCertificate>, context: CompileContext): CertificateText {
  if (r.isSet('ocspStaple')) throw r.unsupported('ocspStaple');
  const chainPem = r.required('certificateChain', (d) => readDataSource(d, context)).toString();
  const keyPem = r.required('privateKey', (d) => readDataSource(d, context)).toString();
  let fits: boolean;
  try {
    fits = new X509Certificate(chainPem).checkPrivateKey(createPrivateKey(keyPem));
  } catch (error) {
    throw r.invalid('', `not a PEM certificate chain with its unencrypted key: ${messageOf(error)}`);
  }
  if (!fits) throw r.invalid('privateKey', 'is not the key of the certificate');
  return { chainPem, keyPem };
}

export interface ValidationText {
  readonly bundlePem: string | null;
  readonly crlPem: string | null;
  /** undefined where Envoy's defaults hold. */
  readonly peerRules: PeerRulesSpec | undefined;
  readonly subjectAltNames: readonly SubjectAltNameMatchSpec[];
}

/** Every further rule of the message is refused. */
export function readValidation(
  r: MessageReader<CertificateValidationContext>,
  context: CompileContext,
): ValidationText {
  r.only('requireSignedCertificateTimestamp', false);
  const bundlePem = r.inside('trustedCa', (d) => readDataSource(d, context))?.toString() ?? null;
  if (bundlePem !== null) checkBundle(r, bundlePem);
  const crlPem = r.inside('crl', (d) => readDataSource(d, context))?.toString() ?? null;
  if (crlPem !== null && bundlePem === null) throw r.invalid('crl', 'Failed to load CRL without trusted CA');
  if (crlPem !== null && !crlPem.includes('-----BEGIN X509 CRL-----')) throw r.invalid('crl', 'holds no PEM CRL');
  return { bundlePem, crlPem, subjectAltNames: readNames(r), peerRules: readRules(r) };
}

/** The older field, which knows no types of names, counts where the newer one is empty, as in Envoy. */
function readNames(r: MessageReader<CertificateValidationContext>): readonly SubjectAltNameMatchSpec[] {
  const typed = r.each('matchTypedSubjectAltNames', readSan);
  const untyped = r.each('matchSubjectAltNames', readStringMatch);
  if (typed.length > 0) return typed;
  return untyped.flatMap((match) => Object.values(sanTypes).map((type) => ({ type, match })));
}

const chainChecks = { VERIFY_TRUST_CHAIN: false, ACCEPT_UNTRUSTED: true } as const;

function readRules(r: MessageReader<CertificateValidationContext>): PeerRulesSpec | undefined {
  const rules: PeerRulesSpec = {
    allowExpired: r.take('allowExpiredCertificate'),
    acceptUntrusted: r.oneOf('trustChainVerification', chainChecks),
    leafCrlOnly: r.take('onlyVerifyLeafCertCrl'),
    certificateHashes: r.take('verifyCertificateHash').map((text) => {
      const hex = text.replaceAll(':', '').toLowerCase();
      if (!/^[0-9a-f]{64}$/.test(hex)) throw r.invalid('verifyCertificateHash', `Invalid hex-encoded SHA-256 ${text}`);
      return hex;
    }),
    spkiHashes: r.take('verifyCertificateSpki').map((text) => {
      if (Buffer.from(text, 'base64').length === 32 && /^[A-Za-z0-9+/]{43}=$/.test(text)) return text;
      throw r.invalid('verifyCertificateSpki', `Invalid base64-encoded SHA-256 ${text}`);
    }),
  };
  const { certificateHashes, spkiHashes } = rules;
  const isDefault = !rules.allowExpired && !rules.acceptUntrusted && !rules.leafCrlOnly;
  return isDefault && certificateHashes.length + spkiHashes.length === 0 ? undefined : rules;
}

function checkBundle(r: MessageReader<CertificateValidationContext>, pem: string): void {
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw r.invalid('trustedCa', `holds no PEM certificate: ${messageOf(error)}`);
  }
}

function readSan(r: MessageReader<SubjectAltNameMatcher>): SubjectAltNameMatchSpec {
  return { type: r.oneOf('sanType', sanTypes), match: r.required('matcher', readStringMatch) };
}

export interface SdsReference {
  readonly name: string;
  /** Whether this process answers for the secret from its own identity. */
  readonly mesh: boolean;
}

/** Secrets come from our own identity or from static_resources.secrets; other servers are refused. */
export function readSds(r: MessageReader<SdsSecretConfig>, context: CompileContext): SdsReference {
  const name = r.take('name');
  const source = r.inside('sdsConfig', readSecretSource);
  if (source === undefined) {
    if (!context.env.staticSecrets.has(name)) throw r.invalid('name', `unknown static secret '${name}'`);
    return { name, mesh: false };
  }
  if (source.kind === 'path') {
    const file = secretFile(source, name, context.env, readSecret);
    if (context.env.watchSecret === undefined) throw r.unsupported('sdsConfig');
    try {
      context.env.watchSecret(file);
    } catch (error) {
      throw r.invalid('sdsConfig', `cannot use ${source.path}: ${messageOf(error)}`);
    }
    return { name: file.name, mesh: false };
  }
  if (source.cluster !== xdsNames.identityCluster) {
    throw r.unsupported(
      'sdsConfig',
      `only static secrets, files and the cluster '${xdsNames.identityCluster}' are implemented as a source`,
    );
  }
  if (!context.env.hasIdentity)
    throw r.invalid('sdsConfig', 'this process has no mesh identity (run it as `chainmail-agent sidecar`)');
  if (name !== xdsNames.ownCertificateSecret && name !== xdsNames.trustBundleSecret) {
    throw r.invalid(
      'name',
      `the mesh identity has the secrets '${xdsNames.ownCertificateSecret}' and '${xdsNames.trustBundleSecret}' only`,
    );
  }
  return { name, mesh: true };
}

/** A secret of static_resources. SAN matchers beside a bundle would not reach those who use it, and are refused. */
export function readSecret(r: MessageReader<Secret>, context: CompileContext): SecretSpec {
  const name = r.take('name');
  const type = r.take('type');
  switch (type.case) {
    case 'tlsCertificate':
      return {
        name,
        kind: 'certificate',
        ...r.within('tlsCertificate', type.value, (c) => readCertificate(c, context)),
      };
    case 'validationContext': {
      const { bundlePem, crlPem, subjectAltNames, peerRules } = r.within('validationContext', type.value, (v) =>
        readValidation(v, context),
      );
      if (bundlePem === null) throw r.invalid('validationContext', 'trusted_ca is required');
      if (subjectAltNames.length > 0 || peerRules !== undefined) {
        throw r.unsupported(
          'validationContext',
          'only trusted_ca and crl are implemented in a secret; match_typed_subject_alt_names and the rest belong in a combined_validation_context',
        );
      }
      return { name, kind: 'trust', bundlePem, ...(crlPem === null ? {} : { crlPem }) };
    }
    case 'sessionTicketKeys':
    case 'genericSecret':
      throw r.unsupported(type.case);
    case undefined:
      throw r.invalid('type', 'is required');
  }
}
