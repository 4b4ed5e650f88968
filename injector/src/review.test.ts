import test from 'ava';
import { answerReview, type ReviewOutcome } from './review.ts';
import { defaultValues } from './values.ts';

const context = {
  values: defaultValues,
  namespace: (name: string) =>
    name === 'gone' ? undefined : { name, labels: { 'chainmail.dev/inject': name === 'off' ? 'disabled' : 'enabled' } },
};
const pod = { metadata: { generateName: 'web-' }, spec: { containers: [{ name: 'web' }] } };
const request = {
  uid: 'u-1',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  operation: 'CREATE',
  namespace: 'shop',
  object: pod,
};
const review = (change: object = {}): unknown => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { ...request, ...change },
});

function answered(outcome: ReviewOutcome) {
  if (outcome.kind === 'malformed') throw new Error(outcome.message);
  return outcome;
}

test('an injected pod: uid copied, the patch in base64, the name from generateName', (t) => {
  const { body, subject } = answered(answerReview(review(), context));
  t.is(subject, 'shop/web-*');
  t.like(body, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
  t.like(body.response, { uid: 'u-1', allowed: true, patchType: 'JSONPatch' });
  const patch = JSON.parse(Buffer.from(body.response.patch ?? '', 'base64').toString());
  t.is(patch[0].path, '/metadata/annotations');
});

test("the namespace is the request's, whatever the object says", (t) => {
  const object = { ...pod, metadata: { namespace: 'off' } };
  t.is(answered(answerReview(review({ object }), context)).decision.kind, 'inject');
  t.is(answered(answerReview(review({ namespace: 'off' }), context)).decision.kind, 'skip');
});

for (const [what, change] of [
  ['an update', { operation: 'UPDATE' }],
  ['a deletion', { operation: 'DELETE', object: null }],
  ['another kind', { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }],
  ['a Pod of another group', { kind: { group: 'x', version: 'v1', kind: 'Pod' } }],
  ['a subresource', { subResource: 'ephemeralcontainers' }],
  ['a namespace that is off', { namespace: 'off' }],
] as const) {
  test(`allowed without a patch: ${what}`, (t) => {
    t.deepEqual(answered(answerReview(review(change), context)).body.response, { uid: 'u-1', allowed: true });
  });
}

for (const [what, change, message] of [
  ['an object that is no pod', { object: { spec: 1 } }, /^chainmail: spec: must be an object/],
  ['no object', { object: undefined }, /^chainmail: pod: must be an object/],
  ['an unknown namespace', { namespace: 'gone' }, /namespace gone is not known/],
  ['a conflict', { object: { spec: { containers: [{ name: 'mesh-agent' }] } } }, /mesh-agent/],
] as const) {
  test(`refused with a message: ${what}`, (t) => {
    const { response } = answered(answerReview(review(change), context)).body;
    t.like(response, { uid: 'u-1', allowed: false, status: { code: 403, reason: 'Forbidden' } });
    t.regex(response.status?.message ?? '', message);
    t.is(response.patch, undefined);
  });
}

for (const [what, body, message] of [
  ['no object', 'x', /must be an AdmissionReview/],
  ['null', null, /must be an AdmissionReview/],
  ['another kind', { ...(review() as object), kind: 'Pod' }, /expected AdmissionReview/],
  ['v1beta1', { ...(review() as object), apiVersion: 'admission.k8s.io/v1beta1' }, /v1beta1/],
  ['no request', { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }, /request is missing/],
  ['no uid', review({ uid: '' }), /request\.uid/],
  ['a uid without end', review({ uid: 'x'.repeat(1000) }), /request\.uid/],
  ['no namespace', review({ namespace: undefined }), /request\.namespace/],
] as const) {
  test(`malformed: ${what}`, (t) => {
    const outcome = answerReview(body, context);
    t.is(outcome.kind, 'malformed');
    t.regex(outcome.kind === 'malformed' ? outcome.message : '', message);
  });
}

test('warnings reach the user', (t) => {
  const labels = { 'chainmail.dev/inject': 'enabled', 'pod-security.kubernetes.io/enforce': 'restricted' };
  const strict = { ...context, namespace: (name: string) => ({ name, labels }) };
  t.regex(answered(answerReview(review(), strict)).body.response.warnings?.[0] ?? '', /Pod Security/);
});
