/**
 * Mints service-account tokens as the Kubernetes TokenRequest API does: ES256 JWTs with audience, expiry and the
 * bound pod. The key lives in memory only; who verifies gets the JWKS.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

export interface BoundObject {
  readonly name: string;
  readonly uid: string;
}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: BoundObject;
  readonly audience: string;
  readonly expirationSeconds: number;
  /** Absent for the control plane's own processes, which are no pods here. */
  readonly pod?: BoundObject;
  readonly node?: BoundObject;
}

/** Kubernetes refuses to issue a token for less than ten minutes. */
const minimumTokenSeconds = 600;

/** When a token has used up this part of its life the file is rewritten, as the kubelet does. */
export const renewTokenAt = 0.8;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export class TokenIssuer {
  readonly issuer: string;
  readonly #key: KeyObject;
  readonly #jwk: Readonly<Record<string, unknown>>;
  readonly #nowMs: () => number;
  readonly #minimumSeconds: number;

  constructor(options: { readonly issuer: string; readonly nowMs: () => number; readonly minimumSeconds?: number }) {
    this.issuer = options.issuer;
    this.#nowMs = options.nowMs;
    this.#minimumSeconds = options.minimumSeconds ?? minimumTokenSeconds;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = privateKey;
    const jwk = publicKey.export({ format: 'jwk' });
    const kid = createHash('sha256').update(`${jwk.x}.${jwk.y}`).digest('base64url');
    this.#jwk = { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y, kid, alg: 'ES256', use: 'sig' };
  }

  /** RFC 7517: what a verifier needs. */
  jwks(): { readonly keys: readonly Readonly<Record<string, unknown>>[] } {
    return { keys: [this.#jwk] };
  }

  mint(request: TokenRequest): { readonly token: string; readonly expiresAtMs: number } {
    const iat = Math.floor(this.#nowMs() / 1000);
    const exp = iat + Math.max(this.#minimumSeconds, request.expirationSeconds);
    const claims = {
      iss: this.issuer,
      sub: `system:serviceaccount:${request.namespace}:${request.serviceAccount.name}`,
      aud: [request.audience],
      iat,
      nbf: iat,
      exp,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace: request.namespace,
        serviceaccount: request.serviceAccount,
        ...(request.pod === undefined ? {} : { pod: request.pod }),
        ...(request.node === undefined ? {} : { node: request.node }),
      },
    };
    const input = `${encode({ alg: 'ES256', kid: this.#jwk['kid'], typ: 'JWT' })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(input), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return { token: `${input}.${signature.toString('base64url')}`, expiresAtMs: exp * 1000 };
  }
}
