import test from 'ava';
import { resourceValue, wholeUnits } from './quantity.ts';

test('resources are divided and rounded up, in every notation Kubernetes takes', (t) => {
  const resources = { limits: { cpu: '250m', memory: '64Mi' }, requests: { cpu: '1e3', memory: '1Pi' } };
  t.is(resourceValue(resources, 'limits.cpu'), '1');
  t.is(resourceValue(resources, 'limits.cpu', '1m'), '250');
  t.is(resourceValue(resources, 'limits.memory', '1Mi'), '64');
  t.is(resourceValue(resources, 'requests.cpu', '0'), '1000');
  t.is(resourceValue(resources, 'requests.memory'), String(2 ** 50));
  t.is(resourceValue(resources, 'limits.storage'), undefined);
  t.is(resourceValue(resources, 'cpu'), undefined);
});

test('sizes are whole bytes', (t) => {
  t.is(wholeUnits('16Mi'), 2 ** 24);
  t.is(wholeUnits('0.5'), 1);
  t.is(wholeUnits('many'), undefined);
});
