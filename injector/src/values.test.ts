import test from 'ava';
import { defaultValues, parseValues } from './values.ts';

test('an empty file is all defaults', (t) => {
  t.deepEqual(parseValues(''), defaultValues);
  t.deepEqual(parseValues('{}'), defaultValues);
});

test('what is set is taken, the rest stays', (t) => {
  const values = parseValues(
    'image: "a:1"\ncaAddress: "[::1]:15013"\nresources: {requests: {cpu: 50m}}\nconcurrency: 2\n',
  );
  t.deepEqual(values, {
    ...defaultValues,
    image: 'a:1',
    caAddress: '[::1]:15013',
    concurrency: 2,
    resources: { ...defaultValues.resources, requests: { ...defaultValues.resources.requests, cpu: '50m' } },
  });
});

const refused: readonly (readonly [string, RegExp])[] = [
  ['imgae: x', /^imgae: unknown field/],
  ['- a', /must be an object/],
  ['image: ""', /^image:/],
  ['image: "a b"', /^image:/],
  ['imagePullPolicy: always', /^imagePullPolicy: must be one of/],
  ['trustDomain: Example.com', /^trustDomain:/],
  ['controlAddress: host', /^controlAddress: must be host:port/],
  ['controlAddress: host:0', /^controlAddress: must be host:port/],
  ['caAddress: host:70000', /^caAddress:/],
  ['systemNamespace: a/b', /^systemNamespace:/],
  ['tokenTtlSeconds: 599', /^tokenTtlSeconds: must be a whole number from 600/],
  ['certificateTtlSeconds: -1', /^certificateTtlSeconds:/],
  ['concurrency: 1.5', /^concurrency:/],
  ['logLevel: loud', /^logLevel:/],
  ['resources: {request: {}}', /^resources\.request: unknown field/],
  ['resources: {requests: {cpu: lots}}', /^resources\.requests\.cpu: must be a quantity/],
  ['resources: {requests: {cpu: 0}}', /^resources\.requests\.cpu: must be a quantity above zero/],
  ['resources: {requests: {memory: 1Gi}}', /^resources\.requests\.memory: 1Gi is above the limit 256Mi/],
  ['a: [', /^values: /],
];

for (const [text, message] of refused) {
  test(`refused: ${text}`, (t) => {
    t.throws(() => parseValues(text), { code: 'VALUES_INVALID', message });
  });
}
