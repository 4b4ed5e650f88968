import test from 'ava';
import fc from 'fast-check';
import { LineBuffer, Piece } from './line-buffer.ts';

function put(write: (line: LineBuffer) => void, size = 4096): Buffer {
  const line = new LineBuffer(new Uint8Array(size));
  write(line);
  return Buffer.from(line.bytes.subarray(0, line.at));
}

const wellFormed = new TextDecoder('utf-8', { fatal: true });

test('JSON text reads back as what it was, whatever it was', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 60 })),
      (value) => {
        const bytes = put((line) => line.json(value));
        return JSON.parse(`"${wellFormed.decode(bytes)}"`) === value.toWellFormed();
      },
    ),
  );
  t.pass();
});

test('any UTF-16 at all becomes one line of valid UTF-8', (t) => {
  const units = fc.array(fc.nat({ max: 0xffff }), { maxLength: 40 }).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(units, (value) => {
      const asJson = wellFormed.decode(put((line) => line.json(value)));
      const asText = wellFormed.decode(put((line) => line.text(value)));
      return JSON.parse(`"${asJson}"`) === value.toWellFormed() && !/[\0-\x1f\x7f]/.test(asText);
    }),
  );
  t.pass();
});

test('any latin1 bytes are written as their text would be, cut or not', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 70 }), (bytes, limit) => {
      const text = Buffer.from(bytes).toString('latin1');
      const around = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]);
      const cut = (write: (line: LineBuffer) => void): string =>
        put((line) => {
          line.valueLimit = limit;
          write(line);
        }).toString('hex');
      const sameJson = cut((l) => l.jsonBytes(around, 1, bytes.length + 1)) === cut((l) => l.jsonString(text));
      return sameJson && cut((l) => l.textBytes(around, 1, bytes.length + 1)) === cut((l) => l.text(text));
    }),
  );
  t.pass();
});

test('numbers', (t) => {
  for (const n of [0, 7, 10, 99, 100, 2_147_483_646, 2_147_483_647, 5e9, 1.5, -3]) {
    t.is(put((line) => line.number(n)).toString(), String(n));
  }
  t.is(put((line) => line.number(Number.NaN)).toString(), '0');
});

test('nothing is written beyond the end, and the overflow is known', (t) => {
  const writes: readonly ((line: LineBuffer) => void)[] = [
    (line) => line.raw(Piece.of('12345')),
    (line) => line.number(12_345),
    (line) => line.number(5_000_000_000),
    (line) => line.json('12345'),
    (line) => line.text('12345'),
    (line) => line.jsonBytes(Buffer.from('12345'), 0, 5),
    (line) => line.textBytes(Buffer.from('12345'), 0, 5),
  ];
  for (const write of writes) {
    const bytes = new Uint8Array(16).fill(0xaa);
    const line = new LineBuffer(bytes);
    line.begin(4, 8, Number.MAX_SAFE_INTEGER);
    write(line);
    t.true(line.overflowed);
    t.true(bytes.every((byte) => byte === 0xaa));
  }
});

test('values can be cut, never inside a pair', (t) => {
  const line = new LineBuffer(new Uint8Array(64));
  line.begin(0, 64, 3);
  line.text('abcdef');
  line.text('ab\u{1f600}');
  t.is(wellFormed.decode(line.bytes.subarray(0, line.at)), 'abcab\ufffd');
});
