import test from 'ava';
import { Stash } from './stash.ts';

function feed(stash: Stash, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  stash.push(bytes, 0, bytes.length);
}

test('what was pushed comes back in front of the end', (t) => {
  const stash = new Stash();
  feed(stash, 'GET / ');
  feed(stash, 'HTTP');
  const to = Buffer.alloc(32);
  const start = stash.popBefore(to, 20);
  t.is(to.toString('latin1', start, 20), 'GET / HTTP');
  t.is(stash.length, 0);
});

test('a short head is worth a look after each line', (t) => {
  const stash = new Stash();
  feed(stash, 'GET / HTTP/1.1');
  t.false(stash.takeLineEnd());
  feed(stash, '\r\n');
  t.true(stash.takeLineEnd());
  t.false(stash.takeLineEnd());
  feed(stash, 'a: b\r\n');
  t.true(stash.takeLineEnd());
});

/** How often a head of 8 MiB in lines and pieces of 100 bytes is looked at, as a connection does it. */
test('a head of 8 MiB in small lines is looked at a few times beyond 64 KiB, and when it is complete', (t) => {
  const stash = new Stash();
  const buffer = Buffer.alloc(9 * 1024 * 1024);
  let looks = 0;
  const piece = `a: ${'x'.repeat(95)}\r\n`;
  for (let sent = 0; sent < 8 * 1024 * 1024; sent += piece.length) {
    feed(stash, piece);
    if (!stash.takeLineEnd()) continue;
    looks++;
    const { length } = stash;
    const start = stash.popBefore(buffer, length);
    stash.push(buffer, start, length);
    stash.takeLineEnd();
  }
  t.true(looks < 65_536 / piece.length + 30, `${looks} looks`);
  feed(stash, '\r');
  t.false(stash.takeLineEnd());
  feed(stash, '\n');
  t.true(stash.takeLineEnd());
});

test('a long head before does not delay the look at the next one', (t) => {
  const stash = new Stash();
  feed(stash, `${'x'.repeat(200_000)}\n`);
  t.true(stash.takeLineEnd());
  stash.popBefore(Buffer.alloc(300_000), 300_000);
  feed(stash, `${'x'.repeat(70_000)}\n`);
  t.true(stash.takeLineEnd());
});

test.serial('what is lent and comes back needs no new memory, however often', (t) => {
  const stash = new Stash();
  const buffer = Buffer.alloc(65_536);
  feed(stash, 'GET / HTTP/1.1\r\n\r\n'.repeat(2_000));
  const allocate = Buffer.allocUnsafeSlow;
  let allocated = 0;
  t.teardown(() => {
    Buffer.allocUnsafeSlow = allocate;
  });
  Buffer.allocUnsafeSlow = (size) => {
    allocated += size;
    return allocate(size);
  };
  for (let i = 0; i < 1_999; i++) {
    const start = stash.lendBefore(buffer, 40_000);
    t.is(buffer.toString('latin1', start, start + 5), 'GET /');
    stash.push(buffer, start + 18, 40_000);
    stash.release();
  }
  t.is(allocated, 0);
  t.is(stash.length, 18);
  stash.lendBefore(buffer, 40_000);
  stash.release();
  feed(stash, 'x');
  t.true(allocated > 0, 'nothing is held, so nothing is kept');
});
