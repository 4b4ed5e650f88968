/** Who a token says its bearer is. Implementations: JWKS (this folder's jwks-attestor.ts); TokenReview in a cluster. */

export interface BoundObject {
  readonly name: string;
  readonly uid: string;
}

export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: BoundObject;
  /** Absent only for the mesh's own processes where they are no pods. */
  readonly pod: BoundObject | undefined;
}

export type Attestation =
  | { readonly ok: true; readonly caller: Caller }
  /** `unauthenticated`: the token is no good; `not-live`: it is, but its pod is not there any more. */
  | { readonly ok: false; readonly code: 'unauthenticated' | 'not-live'; readonly reason: string };

export interface Attestor {
  /** Rejects only when it cannot decide: then nothing is issued. */
  attest(token: string): Promise<Attestation>;
}
