import test from 'ava';
import { Lifecycle } from './lifecycle.ts';
import { silentLogger } from './logger.ts';

test('closes in reverse order, once, and goes on after a failure', async (t) => {
  const order: string[] = [];
  const life = new Lifecycle(silentLogger);
  life.onStop('first', () => void order.push('first'));
  life.onStop('broken', () => {
    throw new Error('cannot close');
  });
  life.onStop('last', async () => void order.push('last'));
  await Promise.all([life.stop(), life.stop()]);
  t.deepEqual(order, ['last', 'first']);
});
