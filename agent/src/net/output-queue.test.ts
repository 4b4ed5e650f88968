import { randomBytes } from 'node:crypto';
import test from 'ava';
import { libcView } from '../sys/testing.ts';
import { seededRandom } from '../worker/random.ts';
import { ChunkPool, chunkBytes, OutputQueue } from './output-queue.ts';

test('bytes leave in the order they came, whatever the sizes', (t) => {
  const random = seededRandom(7);
  const queue = new OutputQueue(new ChunkPool());
  const data = randomBytes(1 << 20);
  const out: Buffer[] = [];
  let at = 0;
  while (at < data.length || queue.bytes > 0) {
    const size = Math.min(data.length - at, Math.floor(random() * 3 * chunkBytes));
    queue.push(data, at, at + size);
    at += size;
    for (let i = 0; i < 3 && queue.bytes > 0; i++) {
      const n = 1 + Math.floor(random() * queue.length);
      out.push(libcView(queue.address, n));
      queue.consume(n);
    }
  }
  t.true(Buffer.concat(out).equals(data));
  t.is(queue.bytes, 0);
});

test('clear gives every chunk back', (t) => {
  const pool = new ChunkPool();
  const queue = new OutputQueue(pool);
  queue.push(Buffer.alloc(3 * chunkBytes), 0, 3 * chunkBytes);
  const address = queue.address;
  queue.clear();
  t.is(queue.bytes, 0);
  const again = new OutputQueue(pool);
  again.push(Buffer.from('x'), 0, 1);
  again.push(Buffer.alloc(2 * chunkBytes + 1), 0, 2 * chunkBytes + 1);
  again.clear();
  t.not(address, 0n);
});
