import test from 'ava';
import { viewOf } from '../http1/words.ts';
import { decodedBound, huffmanDecode, huffmanEncode, huffmanLength, lastDecodeBad } from './huffman.ts';

function encode(text: Buffer): Buffer {
  const to = Buffer.alloc(text.length * 4 + 8);
  return to.subarray(0, huffmanEncode(viewOf(text), 0, text.length, viewOf(to), 0));
}

function decode(code: Buffer): Buffer | null {
  const padded = Buffer.concat([Buffer.from([0xff]), code, Buffer.from([0x00])]);
  const to = Buffer.alloc(decodedBound(code.length) + 1);
  const end = huffmanDecode(padded, 1, 1 + code.length, to, 1);
  return end < 0 ? null : to.subarray(1, end);
}

const vectors: readonly (readonly [text: string, code: string])[] = [
  ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
  ['no-cache', 'a8eb10649cbf'],
  ['custom-key', '25a849e95ba97d7f'],
  ['custom-value', '25a849e95bb8e8b4bf'],
  ['302', '6402'],
  ['private', 'aec3771a4b'],
  ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
  ['https://www.example.com', '9d29ad171863c78f0b97c8e9ae82ae43d3'],
  [
    'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
  ],
];

for (const [text, code] of vectors) {
  test(`RFC 7541 appendix C: ${text}`, (t) => {
    t.is(encode(Buffer.from(text)).toString('hex'), code);
    t.is(decode(Buffer.from(code, 'hex'))?.toString(), text);
    t.is(huffmanLength(viewOf(Buffer.from(text)), 0, text.length), code.length / 2);
  });
}

test('every byte, alone and between others, comes back', (t) => {
  for (let c = 0; c < 256; c++) {
    for (const bytes of [[c], [97, c, 98], [c, c, c], [c, 255 - c], [48, c, 10, 49]]) {
      const text = Buffer.from(bytes);
      const code = encode(text);
      t.is(code.length, huffmanLength(viewOf(text), 0, text.length));
      t.deepEqual(decode(code), text);
    }
  }
});

test('random texts of all bytes come back', (t) => {
  let seed = 1;
  for (let round = 0; round < 2000; round++) {
    const text = Buffer.alloc(round % 60);
    for (let i = 0; i < text.length; i++) text[i] = (seed = (seed * 16_807) % 2_147_483_647) & 255;
    t.deepEqual(decode(encode(text)), text);
  }
});

test('bytes that no value may have are noticed', (t) => {
  for (const [text, bad] of [
    ['plain value', false],
    ['with\ttab', false],
    ['line\nfeed', true],
    ['nul\0', true],
    ['\x7f', true],
    ['caf\xe9', false],
  ] as const) {
    decode(encode(Buffer.from(text, 'latin1')));
    t.is(lastDecodeBad, bad, JSON.stringify(text));
  }
});

for (const [what, code] of [
  ['EOS', 'ffffffff'],
  ['EOS behind a letter', '1fffffffff'],
  ['a padding of 8 bits', 'f1e3c2e5f23a6ba0ab90f4ffff'],
  ['a padding of 16 bits', '1fffff'],
  ['a padding of zeros', '18'],
  ['a code that does not end', 'ffff'],
  ['a long code that does not end', 'fffffe'],
] as const) {
  test(`refused: ${what}`, (t) => {
    t.is(decode(Buffer.from(code, 'hex')), null);
  });
}

test('a padding of up to 7 ones is accepted', (t) => {
  t.is(decode(Buffer.from('1f', 'hex'))?.toString(), 'a');
  t.is(decode(Buffer.from('07', 'hex'))?.toString(), '0');
  t.is(decode(Buffer.alloc(0))?.length, 0);
});
