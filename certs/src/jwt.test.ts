import { generateKeyPairSync } from 'node:crypto';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { maxTokenBytes, parseJwks, verifyJwt } from './jwt.ts';
import { es256, rs256 } from './test-tokens.ts';

const ec = es256();
const rsa = rs256();
const keys = parseJwks(JSON.stringify({ keys: [ec.jwk, rsa.jwk] }), 'jwks.json');
const reasonOf = (token: string): string => {
  const result = verifyJwt(token, keys);
  return result.ok ? 'accepted' : result.reason;
};

test('ES256 and RS256 tokens give their claims', (t) => {
  for (const signer of [ec, rsa]) {
    t.deepEqual(verifyJwt(signer.sign({ a: 1 }), keys), { ok: true, claims: { a: 1 } });
  }
});

test('a token by another key, or changed after signing, is refused', (t) => {
  t.regex(reasonOf(es256('ec-1').sign({ a: 1 })), /signature is wrong/);
  t.regex(reasonOf(es256('ec-2').sign({ a: 1 })), /unknown key/);
  const [header, , signature] = ec.sign({ a: 1 }).split('.');
  const forged = Buffer.from('{"a":2}').toString('base64url');
  t.regex(reasonOf(`${header}.${forged}.${signature}`), /signature is wrong/);
});

test('the key decides the algorithm, not the token', (t) => {
  t.regex(reasonOf(ec.sign({}, { alg: 'none' })), /algorithm is not ES256/);
  t.regex(reasonOf(ec.sign({}, { alg: 'HS256' })), /algorithm is not ES256/);
  t.regex(reasonOf(ec.sign({}, { kid: 'rsa-1' })), /algorithm is not RS256/);
  t.regex(reasonOf(ec.sign({}, { kid: undefined })), /unknown key/);
  t.regex(reasonOf(ec.sign({}, { crit: ['exp'] })), /crit/);
});

test('what is no compact JWS of JSON objects is refused', (t) => {
  for (const token of ['', 'a', 'a.b', 'a.b.c.d', 'a.b.', '..', 'a b.c.d', 'ä.b.c', `${ec.sign({})}\n`]) {
    t.not(reasonOf(token), 'accepted', token);
  }
  t.regex(reasonOf(ec.sign(['claims'])), /not a JSON object/);
  t.regex(reasonOf('bm90IGpzb24.e30.e30'), /header is not a JSON object/);
  t.regex(reasonOf('a'.repeat(maxTokenBytes + 1)), /larger than/);
});

test('a key set is refused when nothing in it can be used, or when it is ambiguous', (t) => {
  const refused = (value: unknown, message: RegExp): void => {
    const error = t.throws(() => parseJwks(JSON.stringify(value), 'jwks.json'), { instanceOf: UserError, message });
    t.is(error?.code, 'JWKS_INVALID');
  };
  refused({ keys: [] }, /no key for/);
  refused({}, /no list of keys/);
  refused([], /no list of keys/);
  refused({ keys: [ec.jwk, es256('ec-1').jwk] }, /same kid/);
  refused({ keys: [{ ...ec.jwk, kid: undefined }] }, /no key for/);
  refused({ keys: [{ ...ec.jwk, use: 'enc' }] }, /no key for/);
  refused({ keys: [{ ...ec.jwk, alg: 'RS256' }] }, /no key for/);
  refused({ keys: [rs256('small', 1024).jwk] }, /no key for/);
  refused({ keys: [{ kty: 'oct', kid: 'x', k: 'AAAA' }] }, /jwks.json/);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  refused({ keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'x' }] }, /private key/);
  t.throws(() => parseJwks('{', 'jwks.json'), { instanceOf: UserError });
});
