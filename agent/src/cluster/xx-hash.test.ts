/** Known answers of xxHash64 (from its reference implementation), over every branch of the length. */
import test from 'ava';
import { xxHash64 } from './xx-hash.ts';

const answers: readonly (readonly [text: string, seed: bigint, hash: bigint])[] = [
  ['', 0n, 0xef46db3751d8e999n],
  ['a', 0n, 0xd24ec4f1a98c6e5bn],
  ['abc', 0n, 0x44bc2cf5ad770999n],
  ['message digest', 0n, 0x066ed728fceeb3ben],
  ['abcdefghijklmnopqrstuvwxyz', 0n, 0xcfe1f278fa89835cn],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 0n, 0xaaa46907d3047814n],
];

for (const [text, seed, hash] of answers) {
  test(`'${text}'`, (t) => {
    t.is(xxHash64(text, seed), hash);
  });
}

test('another seed, another hash', (t) => {
  t.not(xxHash64('a', 1n), xxHash64('a'));
});
