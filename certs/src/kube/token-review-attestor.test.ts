import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import test, { type ExecutionContext } from 'ava';
import { callerOf, TokenReviewAttestor } from './token-review-attestor.ts';

const extra = {
  'authentication.kubernetes.io/pod-name': ['web-1'],
  'authentication.kubernetes.io/pod-uid': ['uid-1'],
};
const user = { username: 'system:serviceaccount:shop:web.front', uid: 'sa-uid', extra };
const status = { authenticated: true, audiences: ['chainmail-ca'], user };
const pod = (more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', uid: 'uid-1' },
  spec: { serviceAccountName: 'web.front' },
  status: { phase: 'Running' },
  ...more,
});

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  t.teardown(async () => {
    client.close();
    await api.close();
  });
  const seen: unknown[] = [];
  api.answerers.set('tokenreviews', (body) => {
    seen.push((body as { spec?: unknown }).spec);
    return { ...body, status };
  });
  api.put('/api/v1/namespaces/shop/pods/web-1', pod());
  return { api, attestor: new TokenReviewAttestor(client), seen };
}

test('a token is who the API server says, and the pod is there', async (t) => {
  const { attestor, seen } = await fixture(t);
  t.deepEqual(await attestor.attest('abc'), {
    ok: true,
    caller: {
      namespace: 'shop',
      serviceAccount: { name: 'web.front', uid: 'sa-uid' },
      pod: { name: 'web-1', uid: 'uid-1' },
    },
  });
  t.deepEqual(seen, [{ token: 'abc', audiences: ['chainmail-ca'] }]);
});

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ['no status', {}, /no status/],
  ['not authenticated', { status: { ...status, authenticated: false } }, /does not know/],
  ['authenticated only as a word', { status: { ...status, authenticated: 'true' } }, /does not know/],
  ['another audience', { status: { ...status, audiences: ['https://kubernetes'] } }, /audience/],
  ['a server that ignores audiences', { status: { authenticated: true, user } }, /audience/],
  ['audiences as text', { status: { ...status, audiences: 'chainmail-ca' } }, /audience/],
  ['a person', { status: { ...status, user: { ...user, username: 'admin' } } }, /no service account/],
  ['a name with a third part', { status: { ...status, user: { ...user, username: `${user.username}:x` } } }, /invalid/],
  ['no name', { status: { ...status, user: { ...user, username: 'system:serviceaccount:shop:' } } }, /invalid/],
  [
    'a namespace that is none',
    { status: { ...status, user: { ...user, username: 'system:serviceaccount:a.b:web' } } },
    /invalid/,
  ],
  ['no uid', { status: { ...status, user: { username: user.username, extra } } }, /no uid/],
  ['no pod', { status: { ...status, user: { username: user.username, uid: 'u' } } }, /not bound to a pod/],
  [
    'two pods',
    {
      status: {
        ...status,
        user: { ...user, extra: { ...extra, 'authentication.kubernetes.io/pod-name': ['web-1', 'web-2'] } },
      },
    },
    /not bound to a pod/,
  ],
  [
    'a pod without uid',
    { status: { ...status, user: { ...user, extra: { 'authentication.kubernetes.io/pod-name': ['web-1'] } } } },
    /not bound to a pod/,
  ],
  [
    'a path for a pod',
    {
      status: {
        ...status,
        user: { ...user, extra: { ...extra, 'authentication.kubernetes.io/pod-name': ['../../secrets/x'] } },
      },
    },
    /not bound to a pod/,
  ],
];
for (const [what, review, message] of refused) {
  test(`refused: ${what}`, (t) => {
    const caller = callerOf(review);
    t.regex(typeof caller === 'string' ? caller : 'accepted', message);
  });
}

for (const [what, found, message] of [
  ['a pod of another uid', pod({ metadata: { name: 'web-1', uid: 'uid-2' } }), /its uid differs/],
  ['a pod of another account', pod({ spec: { serviceAccountName: 'root' } }), /another service account/],
  ['a pod that has ended', pod({ status: { phase: 'Succeeded' } }), /has ended/],
] as const) {
  test(`not live: ${what}`, async (t) => {
    const { api, attestor } = await fixture(t);
    api.put('/api/v1/namespaces/shop/pods/web-1', found);
    const result = await attestor.attest('abc');
    t.like(result, { ok: false, code: 'not-live' });
    t.regex(result.ok ? '' : result.reason, message);
  });
}

test('not live: no pod', async (t) => {
  const { api, attestor } = await fixture(t);
  api.fail(/GET .*pods\/web-1/, 404);
  t.like(await attestor.attest('abc'), { ok: false, code: 'not-live' });
});

test('a server that cannot answer decides nothing', async (t) => {
  const { api, attestor } = await fixture(t);
  api.fail(/tokenreviews/, 500);
  await t.throwsAsync(attestor.attest('abc'));
  api.fail(/GET .*pods/, 503);
  await t.throwsAsync(attestor.attest('abc'));
});

test('a token that is too long is not sent on', async (t) => {
  const { attestor, seen } = await fixture(t);
  t.like(await attestor.attest('x'.repeat(20_000)), { ok: false, code: 'unauthenticated' });
  t.is(seen.length, 0);
});
