import test from 'ava';
import { attestClaims } from './service-account-claims.ts';
import { claimsOf, issuer } from './test-tokens.ts';

const nowMs = Date.UTC(2030, 0, 1);
const now = nowMs / 1000;
const good = claimsOf(nowMs);
const rules = { issuer, audience: 'chainmail-ca', nowMs };
const kubernetes = good['kubernetes.io'];
const within = (change: object): object => ({ 'kubernetes.io': { ...kubernetes, ...change } });

test('a projected token names its pod and its service account', (t) => {
  t.deepEqual(attestClaims(good, rules), {
    ok: true,
    caller: {
      namespace: 'shop',
      serviceAccount: { name: 'web', uid: 'uid-of-web' },
      pod: { name: 'web-1', uid: 'uid-of-web-1' },
    },
  });
  t.true(attestClaims({ ...good, aud: 'chainmail-ca' }, rules).ok, 'one audience may be a string (RFC 7519 4.1.3)');
  t.true(attestClaims({ ...good, aud: ['other', 'chainmail-ca'] }, rules).ok);
  t.true(attestClaims({ ...good, nbf: undefined }, rules).ok);
});

const refused: readonly (readonly [name: string, change: object, reason: RegExp])[] = [
  ['another issuer', { iss: 'https://evil' }, /issuer/],
  ['no issuer', { iss: undefined }, /issuer/],
  ['another audience', { aud: ['kubernetes'] }, /audience/],
  ['an audience that begins alike', { aud: ['chainmail-ca-2'] }, /audience/],
  ['no audience', { aud: undefined }, /audience/],
  ['no audiences', { aud: [] }, /audience/],
  ['expired', { exp: now }, /expired/],
  ['no expiry, as legacy tokens', { exp: undefined }, /no expiry/],
  ['an expiry that is no number', { exp: '9999999999' }, /no expiry/],
  ['valid in a minute', { nbf: now + 60 }, /not valid yet/],
  ['issued in a minute', { iat: now + 60 }, /time of issue/],
  ['no time of issue', { iat: undefined }, /time of issue/],
  ['no kubernetes.io', { 'kubernetes.io': undefined }, /no kubernetes.io/],
  ['no namespace', within({ namespace: undefined }), /namespace/],
  ['a namespace with a slash', within({ namespace: 'shop/sa/admin' }), /namespace/],
  ['another namespace than the subject', within({ namespace: 'other' }), /subject/],
  ['no service account', within({ serviceaccount: undefined }), /service account/],
  ['no uid of the service account', within({ serviceaccount: { name: 'web' } }), /service account/],
  ['a service account with a slash', within({ serviceaccount: { name: 'a/b', uid: 'u' } }), /service account/],
  ['another service account than the subject', within({ serviceaccount: { name: 'admin', uid: 'u' } }), /subject/],
  ['a subject without the prefix', { sub: 'shop:web' }, /subject/],
  ['a user as subject', { sub: 'admin' }, /subject/],
  ['no pod', within({ pod: undefined }), /not bound to a pod/],
  ['a pod without uid', within({ pod: { name: 'web-1' } }), /pod is invalid/],
  ['a pod name with a path', within({ pod: { name: '../x', uid: 'u' } }), /pod is invalid/],
];
for (const [name, change, reason] of refused) {
  test(`refused: ${name}`, (t) => {
    const result = attestClaims({ ...good, ...change }, rules);
    t.false(result.ok);
    t.is(result.ok ? undefined : result.code, 'unauthenticated');
    t.regex(result.ok ? '' : result.reason, reason);
  });
}

test("only the mesh's own processes may be without a pod", (t) => {
  t.true(attestClaims(claimsOf(nowMs, 'chainmail-system', 'chainmail-control', null), rules).ok);
  t.false(attestClaims(claimsOf(nowMs, 'chainmail-system', 'default', null), rules).ok);
  t.false(attestClaims(claimsOf(nowMs, 'shop', 'chainmail-control', null), rules).ok);
});
