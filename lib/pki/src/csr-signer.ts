/** Who turns a request into a certificate: the CA over gRPC, the CA inside its own process, or a test's. */

export interface SigningRequest {
  /** One PKCS#10 request. */
  readonly csrPem: string;
  /** Wanted lifetime; absent takes the CA's default. */
  readonly ttlSeconds?: number;
}

export interface SignedCertificate {
  /** PEM, leaf first; it may end with the root. */
  readonly chainPem: readonly string[];
  /** PEM anchors of the trust domain at bundleSequence. */
  readonly trustAnchorsPem: readonly string[];
  readonly bundleSequence: number;
}

export interface CsrSigner {
  /** Rejects when the CA refuses or cannot be reached; the caller tries again with back-off. */
  sign(request: SigningRequest): Promise<SignedCertificate>;
}
