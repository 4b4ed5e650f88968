/** Certificates and trust anchors, as they stand in a TLS context or in a secret, and where SDS has them from. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { messageOf, xdsNames } from '@chainmail/runtime';
import type {
  CertificateValidationContext,
  SubjectAltNameMatcher,
  TlsCertificate,
} from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/common';
import type { SdsSecretConfig, Secret } from '@chainmail/xds/proto/envoy/extensions/transport_sockets/tls/v3/secret';
import type { SecretSpec, SubjectAltNameMatchSpec } from '../model/tls.ts';
import type { CompileContext } from './compile-context.ts';
import { grpcClusterOf } from './config-source.ts';
import { readDataSource } from './data-source.ts';
import type { MessageReader } from './message-reader.ts';
import { readStringMatch } from './string-match.ts';

const sanTypes = { EMAIL: 'email', DNS: 'dns', URI: 'uri', IP_ADDRESS: 'ip' } as const;

export interface CertificateText {
  readonly chainPem: string;
  readonly keyPem: string;
}

/** The key must be that of the leaf: found here, not at the first handshake. */
export function readCertificate(r: MessageReader<TlsCertificate>, context: CompileContext): CertificateText {
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
  readonly subjectAltNames: readonly SubjectAltNameMatchSpec[];
}

/** Every further rule of the message (hashes, CRLs, expired certificates, ...) is refused. */
export function readValidation(
  r: MessageReader<CertificateValidationContext>,
  context: CompileContext,
): ValidationText {
  r.only('allowExpiredCertificate', false);
  r.only('onlyVerifyLeafCertCrl', false);
  r.only('requireSignedCertificateTimestamp', false);
  r.oneOf('trustChainVerification', { VERIFY_TRUST_CHAIN: null });
  const bundlePem = r.inside('trustedCa', (d) => readDataSource(d, context))?.toString() ?? null;
  if (bundlePem !== null) checkBundle(r, bundlePem);
  return { bundlePem, subjectAltNames: r.each('matchTypedSubjectAltNames', readSan) };
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
  const cluster = r.inside('sdsConfig', grpcClusterOf);
  if (cluster === undefined) {
    if (!context.env.staticSecrets.has(name)) throw r.invalid('name', `unknown static secret '${name}'`);
    return { name, mesh: false };
  }
  if (cluster !== xdsNames.identityCluster) {
    throw r.unsupported(
      'sdsConfig',
      `only static secrets and the cluster '${xdsNames.identityCluster}' are implemented as a source`,
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
      const { bundlePem, subjectAltNames } = r.within('validationContext', type.value, (v) =>
        readValidation(v, context),
      );
      if (bundlePem === null) throw r.invalid('validationContext', 'trusted_ca is required');
      if (subjectAltNames.length > 0) {
        throw r.unsupported(
          'validationContext',
          'match_typed_subject_alt_names belongs in a combined_validation_context',
        );
      }
      return { name, kind: 'trust', bundlePem };
    }
    case 'sessionTicketKeys':
    case 'genericSecret':
      throw r.unsupported(type.case);
    case undefined:
      throw r.invalid('type', 'is required');
  }
}
