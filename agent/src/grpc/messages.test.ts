import { RpcFailure } from '@chainmail/xds/rpc-status';
import test from 'ava';
import { frameMessage, MessageReader } from './messages.ts';

const wire = Buffer.concat(['', 'a', 'hello', ''].map((text) => frameMessage(Buffer.from(text))));

function reader(maxBytes = 100) {
  const seen: string[] = [];
  return { seen, it: new MessageReader(maxBytes, (m) => seen.push(m.toString())) };
}

test('messages come whole, however their bytes are split', (t) => {
  for (let first = 0; first <= wire.length; first++) {
    for (let second = first; second <= wire.length; second++) {
      const { seen, it } = reader();
      it.take(wire, 0, first);
      it.take(wire, first, second);
      it.take(wire, second, wire.length);
      t.deepEqual(seen, ['', 'a', 'hello', ''], `${first}, ${second}`);
      t.true(it.isBetweenMessages);
    }
  }
});

test('an end inside a message is seen', (t) => {
  for (let cut = 1; cut < 10; cut++) {
    const { it } = reader();
    const one = frameMessage(Buffer.from('hello'));
    it.take(one, 0, cut);
    t.false(it.isBetweenMessages, `${cut}`);
  }
});

test('a message that is too large is refused by its prefix, before memory is taken for it', (t) => {
  const { it } = reader(4);
  it.take(frameMessage(Buffer.from('four')), 0, 9);
  const error = t.throws(() => it.take(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), 0, 5), { instanceOf: RpcFailure });
  t.is(error.code, 8);
  t.regex(error.message, /4294967295 bytes, where 4 are allowed/);
});

test('a compressed message is refused', (t) => {
  const { it } = reader();
  const error = t.throws(() => it.take(Buffer.from([1, 0, 0, 0, 0]), 0, 5), { instanceOf: RpcFailure });
  t.is(error.code, 13);
});
