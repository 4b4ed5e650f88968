/** Known answers of std::hash<std::string> (libstdc++ on 64 bits), over every branch of the length. */
import test from 'ava';
import { murmurHash2 } from './murmur-hash.ts';

const answers: readonly (readonly [text: string, hash: bigint])[] = [
  ['', 6142509188972423790n],
  ['a', 4993892634952068459n],
  ['foo', 9631199822919835226n],
  ['bar', 11474628671133349555n],
  ['12345678', 10113836418918046885n],
  ['123456789abcdef', 11258708842651572843n],
  ['127.0.0.1:80_0', 17613279263364193813n],
  ['exactly sixteen!', 4150025546954011191n],
];

for (const [text, hash] of answers) {
  test(`'${text}'`, (t) => {
    t.is(murmurHash2(text), hash);
  });
}
