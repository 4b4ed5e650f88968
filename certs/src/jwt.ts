/**
 * Verifying a signed token (RFC 7515, 7519) against a set of public keys (RFC 7517): ES256 and RS256 only, and the
 * key decides which. Invariant: claims are looked at after the signature; the outcome is a value.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { UserError } from '@chainmail/runtime';

/** Projected tokens have 1 to 2 KB. */
export const maxTokenBytes = 16 * 1024;

export interface VerificationKey {
  readonly kid: string;
  readonly algorithm: 'ES256' | 'RS256';
  readonly key: KeyObject;
}

export type JsonObject = Readonly<Record<string, unknown>>;
export type JwtResult =
  | { readonly ok: true; readonly claims: JsonObject }
  | { readonly ok: false; readonly reason: string };

const isObject = (v: unknown): v is JsonObject => typeof v === 'object' && v !== null && !Array.isArray(v);

function algorithmOf(key: KeyObject): VerificationKey['algorithm'] | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  if (key.asymmetricKeyType === 'rsa' && modulusLength !== undefined && modulusLength >= 2048) return 'RS256';
  return undefined;
}

function readJwk(jwk: unknown): VerificationKey | undefined {
  if (!isObject(jwk) || typeof jwk['kid'] !== 'string' || (jwk['use'] ?? 'sig') !== 'sig') return undefined;
  if ('d' in jwk) throw new Error(`key ${jwk['kid']} is a private key`);
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  const algorithm = algorithmOf(key);
  if (algorithm === undefined || (jwk['alg'] ?? algorithm) !== algorithm) return undefined;
  return { kid: jwk['kid'], algorithm, key };
}

/** The usable keys of a JWKS. @throws UserError JWKS_INVALID when there is none, or two of one kid */
export function parseJwks(text: string, where: string): readonly VerificationKey[] {
  const bad = (reason: string): UserError => new UserError('JWKS_INVALID', `${where}: ${reason}`);
  let keys: VerificationKey[];
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || !Array.isArray(value['keys'])) throw new Error('no list of keys');
    keys = value['keys'].flatMap((k) => readJwk(k) ?? []);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : 'unreadable');
  }
  if (keys.length === 0) throw bad('no key for ES256 (P-256) or RS256 (2048 bits or more) with a kid');
  if (new Set(keys.map((k) => k.kid)).size !== keys.length) throw bad('two keys have the same kid');
  return keys;
}

function decodePart(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isSigned(input: string, signature: string, { key, algorithm }: VerificationKey): boolean {
  const bytes = Buffer.from(signature, 'base64url');
  return algorithm === 'ES256'
    ? verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, bytes)
    : verify('sha256', Buffer.from(input), key, bytes);
}

/** The claims of a compact JWS whose signature holds. Times, issuer and audience are the caller's to check. */
export function verifyJwt(token: string, keys: readonly VerificationKey[]): JwtResult {
  const refuse = (reason: string): JwtResult => ({ ok: false, reason });
  if (token.length > maxTokenBytes) return refuse(`the token is larger than ${maxTokenBytes} bytes`);
  const match = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(token);
  if (match === null) return refuse('the token is not a JWT');
  const [, headerPart = '', claimsPart = '', signature = ''] = match;
  const header = decodePart(headerPart);
  if (header === undefined) return refuse("the token's header is not a JSON object");
  if ('crit' in header) return refuse('the token has a crit header');
  const key = keys.find((k) => k.kid === header['kid']);
  if (key === undefined) return refuse('the token is signed by an unknown key');
  if (header['alg'] !== key.algorithm) return refuse(`the token's algorithm is not ${key.algorithm}`);
  if (!isSigned(`${headerPart}.${claimsPart}`, signature, key)) return refuse("the token's signature is wrong");
  const claims = decodePart(claimsPart);
  return claims === undefined ? refuse("the token's claims are not a JSON object") : { ok: true, claims };
}
