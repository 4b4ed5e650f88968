/** Service-account tokens as a Kubernetes API server projects them, for tests: any claim may be changed. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const issuer = 'https://kubernetes.default.svc';

export interface TokenSigner {
  readonly jwk: Readonly<Record<string, unknown>>;
  sign(claims: unknown, header?: Readonly<Record<string, unknown>>): string;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function signerOf(alg: string, kid: string, keys: { publicKey: KeyObject; privateKey: KeyObject }): TokenSigner {
  const { publicKey, privateKey } = keys;
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
    sign(claims, header = {}) {
      const input = `${encode({ alg, kid, ...header })}.${encode(claims)}`;
      const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${input}.${signature.toString('base64url')}`;
    },
  };
}

export const es256 = (kid = 'ec-1'): TokenSigner =>
  signerOf('ES256', kid, generateKeyPairSync('ec', { namedCurve: 'P-256' }));

export const rs256 = (kid = 'rsa-1', modulusLength = 2048): TokenSigner =>
  signerOf('RS256', kid, generateKeyPairSync('rsa', { modulusLength }));

/** The claims of a pod's token, made at nowMs for ten minutes. */
export function claimsOf(nowMs: number, namespace = 'shop', name = 'web', pod: string | null = 'web-1') {
  const now = Math.floor(nowMs / 1000);
  return {
    iss: issuer,
    aud: ['chainmail-ca'] as unknown,
    sub: `system:serviceaccount:${namespace}:${name}`,
    exp: now + 600,
    nbf: now,
    iat: now,
    'kubernetes.io': {
      namespace,
      serviceaccount: { name, uid: `uid-of-${name}` },
      ...(pod === null ? {} : { pod: { name: pod, uid: `uid-of-${pod}` } }),
    },
  };
}
