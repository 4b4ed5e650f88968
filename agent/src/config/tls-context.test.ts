import test from 'ava';
import { clusterOf, environment, type Json, meshSds, types } from './testing/compile.ts';

const pem =
  '-----BEGIN CERTIFICATE-----\nMIIBdjCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAeMRwwGgYDVQQDDBNjaGFpbm1h\n-----END CERTIFICATE-----\n';

function upstream(common: Json, more: Json = {}): ReturnType<typeof clusterOf> {
  const socket = { name: 'tls', typed_config: { '@type': types.upstreamTls, common_tls_context: common, ...more } };
  return clusterOf({ name: 'c', type: 'STATIC', transport_socket: socket }, environment());
}

const hash = 'ab'.repeat(32);
const spki = Buffer.alloc(32, 1).toString('base64');

test('pins without a CA', (t) => {
  const { spec } = upstream({
    validation_context: {
      verify_certificate_hash: [hash.toUpperCase().replace(/(..)(?!$)/g, '$1:')],
      verify_certificate_spki: [spki],
    },
  });
  t.like(spec.tls, { trustedCa: null, peerRules: { certificateHashes: [hash], spkiHashes: [spki] } });
});

test('no rule, no entry: contexts with defaults keep their key', (t) => {
  t.false(Object.hasOwn(upstream({ validation_context: {} }).spec.tls ?? {}, 'peerRules'));
});

test('the rules of a chain', (t) => {
  const rules = {
    allow_expired_certificate: true,
    trust_chain_verification: 'ACCEPT_UNTRUSTED',
    only_verify_leaf_cert_crl: true,
  };
  t.like(upstream({ validation_context: rules }).spec.tls, {
    peerRules: { allowExpired: true, acceptUntrusted: true, leafCrlOnly: true },
  });
});

const at = 'transport_socket.typed_config.common_tls_context';
const refused: readonly (readonly [string, Json, Json, string])[] = [
  [
    'a CRL without a CA',
    { validation_context: { crl: { inline_string: '-----BEGIN X509 CRL-----' } } },
    {},
    `${at}.validation_context.crl: Failed to load CRL without trusted CA`,
  ],
  [
    'a hash that is none',
    { validation_context: { verify_certificate_hash: ['zz'.repeat(32)] } },
    {},
    `${at}.validation_context.verify_certificate_hash: Invalid hex-encoded SHA-256 ${'zz'.repeat(32)}`,
  ],
  [
    'a key hash that is none',
    { validation_context: { verify_certificate_spki: [`${'A'.repeat(44)}`] } },
    {},
    `${at}.validation_context.verify_certificate_spki: Invalid base64-encoded SHA-256 ${'A'.repeat(44)}`,
  ],
  [
    'a cipher that does not exist, beside one that does',
    { tls_params: { cipher_suites: ['ECDHE-RSA-AES128-GCM-SHA256', 'ROT13'] } },
    {},
    `${at}.tls_params.cipher_suites: 'ROT13' is not the name of a cipher suite`,
  ],
  [
    'a group that does not exist',
    { tls_params: { ecdh_curves: ['P-1'] } },
    {},
    `${at}.tls_params.ecdh_curves: 'P-1' is not one of X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, X448, P-256, P-384, P-521`,
  ],
  [
    'an OCSP staple',
    {
      tls_certificates: [
        {
          certificate_chain: { inline_string: pem },
          private_key: { inline_string: 'x' },
          ocsp_staple: { inline_string: 'x' },
        },
      ],
    },
    {},
    `${at}.tls_certificates[0].ocsp_staple: not implemented by this agent (field of envoy.extensions.transport_sockets.tls.v3.TlsCertificate)`,
  ],
  [
    'signed certificate timestamps',
    { validation_context: { require_signed_certificate_timestamp: true } },
    {},
    `${at}.validation_context.require_signed_certificate_timestamp: not implemented by this agent (field of envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext)`,
  ],
];

for (const [what, common, more, message] of refused) {
  test(`${what} is refused by path`, (t) => {
    t.is(t.throws(() => upstream(common, more))?.message, message);
  });
}

test('the older field of names means every type, and does not count beside the newer one', (t) => {
  const names = (rules: Json): unknown =>
    upstream({
      combined_validation_context: {
        default_validation_context: rules,
        validation_context_sds_secret_config: meshSds('trust-bundle'),
      },
    }).spec.tls?.subjectAltNames;
  const old = names({ match_subject_alt_names: { exact: 'a.example' } }) as readonly { readonly type: string }[];
  t.deepEqual(old.map((n) => n.type).toSorted(), ['dns', 'email', 'ip', 'uri']);
  t.like(old[0], { match: { kind: 'exact', value: 'a.example' } });
  const both = names({
    match_subject_alt_names: [{ exact: 'a.example' }],
    match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'b.example' } }],
  });
  t.like(both, [{ type: 'dns', match: { value: 'b.example' } }]);
});
