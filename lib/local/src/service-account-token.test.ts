import { createPublicKey, type JsonWebKeyInput, verify } from 'node:crypto';
import test from 'ava';
import { TokenIssuer } from './service-account-token.ts';

const decode = (part: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as Record<string, unknown>;

const request = {
  namespace: 'shop',
  serviceAccount: { name: 'web.v1', uid: 'sa-1' },
  audience: 'chainmail-ca',
  expirationSeconds: 1200,
  pod: { name: 'web-1', uid: 'pod-1' },
};

test('claims are those of a bound Kubernetes token', (t) => {
  const tokens = new TokenIssuer({ issuer: 'https://issuer', nowMs: () => 1_700_000_000_500 });
  const { token, expiresAtMs } = tokens.mint(request);
  const claims = decode(token.split('.')[1]);
  t.is(claims['iss'], 'https://issuer');
  t.is(claims['sub'], 'system:serviceaccount:shop:web.v1');
  t.deepEqual(claims['aud'], ['chainmail-ca']);
  t.is(claims['iat'], 1_700_000_000);
  t.is(claims['exp'], 1_700_001_200);
  t.is(expiresAtMs, 1_700_001_200_000);
  t.deepEqual(claims['kubernetes.io'], {
    namespace: 'shop',
    serviceaccount: { name: 'web.v1', uid: 'sa-1' },
    pod: { name: 'web-1', uid: 'pod-1' },
  });
});

test('the signature verifies with the published key, and with no other', (t) => {
  const tokens = new TokenIssuer({ issuer: 'i', nowMs: () => 0 });
  const [header, payload, signature] = tokens.mint(request).token.split('.');
  t.is(decode(header)['kid'], tokens.jwks().keys[0]?.['kid']);
  const check = (issuer: TokenIssuer): boolean => {
    const key = createPublicKey({ key: issuer.jwks().keys[0] as JsonWebKeyInput['key'], format: 'jwk' });
    const input = Buffer.from(`${header}.${payload}`);
    return verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature ?? '', 'base64url'));
  };
  t.true(check(tokens));
  t.false(check(new TokenIssuer({ issuer: 'i', nowMs: () => 0 })));
  t.false('d' in (tokens.jwks().keys[0] ?? {}), 'the private part stays here');
});

test('ten minutes are the least, as in Kubernetes, and every token has its own id', (t) => {
  const tokens = new TokenIssuer({ issuer: 'i', nowMs: () => 0 });
  const claims = (): Record<string, unknown> =>
    decode(tokens.mint({ ...request, expirationSeconds: 5 }).token.split('.')[1]);
  t.is(claims()['exp'], 600);
  t.not(claims()['jti'], claims()['jti']);
});
