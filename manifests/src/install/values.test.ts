import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { parseSet } from './set-flags.ts';
import { defaultInstallValues, imageOf, installValues, mergeValues, valuesBeyondDefaults } from './values.ts';

const messageOf = (given: unknown): string => {
  try {
    installValues(given);
  } catch (error) {
    if (error instanceof UserError && error.code === 'VALUES_INVALID') return error.message;
    throw error;
  }
  return '';
};

test('nothing given is all defaults', (t) => {
  t.deepEqual(installValues(undefined), defaultInstallValues);
  t.deepEqual(installValues({}), defaultInstallValues);
});

test('what is given goes over the defaults, maps merged and lists replaced', (t) => {
  const values = installValues({ control: { replicas: 3, resources: { limits: { memory: '1Gi' } } } });
  t.is(values.control.replicas, 3);
  t.deepEqual(values.control.resources, { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } });
  t.deepEqual(mergeValues({ a: [1, 2], b: { c: 1 } }, { a: [3], b: { d: 2 } }), { a: [3], b: { c: 1, d: 2 } });
});

test('unknown and wrong values are refused with path and remedy, all at once', (t) => {
  const text = messageOf({ control: { replica: 3, logLevel: 'loud' }, image: { pullPolicy: 'never' } });
  t.regex(text, /control\.replica: unknown field; did you mean replicas\?/);
  t.regex(text, /control\.logLevel: "loud" is not allowed here; write trace, debug, info, warn or error/);
  t.regex(text, /image\.pullPolicy: "never" is not allowed here/);
});

test('a namespace cannot be chosen, and the message says why', (t) => {
  t.regex(messageOf({ namespace: 'mesh' }), /namespace: the namespace is chainmail-system/);
});

test('values that contradict each other are refused', (t) => {
  t.regex(
    messageOf({ agent: { resources: { requests: { memory: '1Gi' } } } }),
    /requests\.memory: 1Gi is above the limit 256Mi/,
  );
  t.regex(messageOf({ ca: { defaultTtl: '48h', maxTtl: '24h' } }), /ca\.defaultTtl: 48h is above ca\.maxTtl 24h/);
  t.regex(messageOf({ control: { replicas: 0 } }), /control\.replicas: 0 is not a whole number from 1 to 32/);
  t.regex(messageOf({ agent: { resources: { limits: { cpu: 'much' } } } }), /"much" is not a quantity above zero/);
  t.regex(messageOf([]), /values: \[\] is not an object/);
});

test('an image is the registry with the tag, or the one that is named', (t) => {
  const values = installValues({ image: { registry: 'r.example/x', tag: 't' }, ca: { image: 'other/ca:9' } });
  t.is(imageOf(values, 'control'), 'r.example/x/control:t');
  t.is(imageOf(values, 'ca'), 'other/ca:9');
});

test('only what is no default is written down, and gives the same values again', (t) => {
  t.deepEqual(valuesBeyondDefaults(defaultInstallValues), {});
  const given = {
    image: { tag: '9' },
    control: { replicas: 3, nodeSelector: { pool: 'a' }, resources: { limits: { memory: '1Gi' } } },
    networkPolicies: { apiServerPorts: [6443] },
  };
  t.deepEqual(valuesBeyondDefaults(installValues(given)), given);
  t.deepEqual(installValues(valuesBeyondDefaults(installValues(given))), installValues(given));
});

test('--set: paths, types, escaped dots', (t) => {
  t.deepEqual(parseSet('control.replicas=3'), { control: { replicas: 3 } });
  t.deepEqual(parseSet('image.tag="3"'), { image: { tag: '3' } });
  t.deepEqual(parseSet('networkPolicies.enabled=false'), { networkPolicies: { enabled: false } });
  t.deepEqual(parseSet('a.b=x=y'), { a: { b: 'x=y' } });
  t.deepEqual(parseSet('control.nodeSelector.kubernetes\\.io/os=linux'), {
    control: { nodeSelector: { 'kubernetes.io/os': 'linux' } },
  });
  t.deepEqual(parseSet('ports=[1, 2]'), { ports: [1, 2] });
  t.deepEqual(parseSet('ca.image='), { ca: { image: '' } });
});

test('--set: what cannot be right is refused', (t) => {
  for (const bad of ['x', '=1', 'a..b=1', '__proto__.x=1', 'a={'])
    t.throws(() => parseSet(bad), { code: 'VALUES_INVALID', message: /^--set / }, bad);
});
