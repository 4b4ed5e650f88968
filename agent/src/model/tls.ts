/**
 * TLS contexts. Key material travels apart from the listeners and clusters that use it, by secret name, so that a
 * rotation touches neither. Invariant: a context whose secrets are not there yet refuses connections.
 */

export interface SubjectAltNameMatchSpec {
  readonly type: 'uri' | 'dns' | 'ip' | 'email';
  readonly match: StringMatchSpec;
}

/** Envoy's StringMatcher. */
export interface StringMatchSpec {
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex';
  readonly value: string;
  readonly ignoreCase: boolean;
}

export interface TlsCommonSpec {
  readonly minVersion: 'TLSv1_2' | 'TLSv1_3';
  readonly maxVersion: 'TLSv1_2' | 'TLSv1_3';
  /** TLS 1.2 ciphers in OpenSSL names joined by `:`; empty for the defaults. */
  readonly ciphers: string;
  /** Groups in OpenSSL names joined by `:`; empty for X25519MLKEM768:X25519:P-256. */
  readonly groups: string;
  readonly alpn: readonly string[];
  /** Secret names of our own certificates; the first that fits is used. Static ones are registered under made-up names. */
  readonly certificates: readonly string[];
  /** Secret name of the trust anchors; null trusts nobody's certificate and asks for none. */
  readonly trustedCa: string | null;
  /** Any of them must match a SAN of the peer; empty accepts every certificate that chains to the anchors. */
  readonly subjectAltNames: readonly SubjectAltNameMatchSpec[];
  /** Rules about the peer's certificate beyond its chain and names; absent where Envoy's defaults hold. */
  readonly peerRules?: PeerRulesSpec;
  /** The peer must be a well-formed X.509-SVID (every rule): true wherever the secrets come from the mesh identity. */
  readonly requireSvid: boolean;
}

export interface PeerRulesSpec {
  /** allow_expired_certificate: the time of no certificate counts. */
  readonly allowExpired: boolean;
  /** trust_chain_verification ACCEPT_UNTRUSTED: a chain that does not verify is let in, as nobody. */
  readonly acceptUntrusted: boolean;
  /** CRLs are asked about the leaf only, not about its issuers. */
  readonly leafCrlOnly: boolean;
  /** SHA-256 of the certificate in lower-case hexadecimal; of its public key (SPKI) in base64. Any of both lists must fit. */
  readonly certificateHashes: readonly string[];
  readonly spkiHashes: readonly string[];
}

export interface DownstreamTlsSpec extends TlsCommonSpec {
  readonly requireClientCertificate: boolean;
}

export interface UpstreamTlsSpec extends TlsCommonSpec {
  /** Hash of the content: hosts with equal contexts share one. */
  readonly key: string;
  readonly sni: string;
  readonly autoSni: boolean;
}

/** What a secret name stands for now. Held in memory only. */
export type SecretSpec =
  | { readonly name: string; readonly kind: 'certificate'; readonly chainPem: string; readonly keyPem: string }
  | { readonly name: string; readonly kind: 'trust'; readonly bundlePem: string; readonly crlPem?: string };
