import test from 'ava';
import { DerError, readBoolean, readChildren, readDer, readOid, readTime, tags, writeDer, writeOid } from './der.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (tag: number, value: string): Uint8Array => writeDer(tag, Buffer.from(value));

test('what is written is read back, in every length form', (t) => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const content = new Uint8Array(size).fill(7);
    const value = readDer(writeDer(tags.octetString, content), tags.octetString);
    t.is(value.content.length, size);
  }
  for (const oid of ['2.5.29.17', '1.2.840.113549.1.1.11', '2.16.840.1.101.3.4.2.1', '1.3.101.112']) {
    t.is(readOid(readDer(writeOid(oid)), 'oid'), oid);
  }
});

const broken: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', bytes()],
  ['no length', bytes(0x30)],
  ['indefinite length', bytes(0x30, 0x80, 0, 0)],
  ['length cut off', bytes(0x30, 0x82, 1)],
  ['length not minimal', bytes(0x04, 0x81, 1, 7)],
  ['length with a leading zero', bytes(0x04, 0x82, 0, 0x80, ...new Array<number>(128).fill(1))],
  ['length of four bytes', bytes(0x04, 0x84, 0, 0, 0, 1, 7)],
  ['longer than the bytes', bytes(0x04, 2, 7)],
  ['shorter than the bytes', bytes(0x04, 1, 7, 7)],
  ['a tag of two bytes', bytes(0x1f, 0x81, 0)],
];
for (const [name, value] of broken) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => readDer(value), { instanceOf: DerError });
  });
}

test('a child may not reach beyond its parent', (t) => {
  t.throws(() => readChildren(bytes(0x04, 1, 7, 0x04, 5, 7)), { instanceOf: DerError });
});

test('only the two booleans of DER, only whole object identifiers', (t) => {
  t.true(readBoolean(readDer(bytes(1, 1, 0xff)), 'b'));
  t.throws(() => readBoolean(readDer(bytes(1, 1, 1)), 'b'), { instanceOf: DerError });
  t.throws(() => readOid(readDer(bytes(6, 2, 0x2a, 0x86)), 'oid'), { instanceOf: DerError });
  t.throws(() => readOid(readDer(bytes(6, 0)), 'oid'), { instanceOf: DerError });
});

test('times: both forms, the century rule, nothing else', (t) => {
  const time = (tag: number, value: string): number => readTime(readDer(text(tag, value)), 'time');
  t.is(time(tags.utcTime, '300102030405Z'), Date.UTC(2030, 0, 2, 3, 4, 5));
  t.is(time(tags.utcTime, '500101000000Z'), Date.UTC(1950, 0, 1));
  t.is(time(tags.generalizedTime, '20510101000000Z'), Date.UTC(2051, 0, 1));
  for (const bad of [
    '300102030405',
    '3001020304Z',
    '300102030405+0100',
    '301302030405Z',
    '300230030405Z',
    '30010225040Z',
  ]) {
    t.throws(() => time(tags.utcTime, bad), { instanceOf: DerError }, bad);
  }
  t.throws(() => time(tags.generalizedTime, '20510101000000.5Z'), { instanceOf: DerError });
  t.throws(() => time(tags.octetString, '20510101000000Z'), { instanceOf: DerError });
});
