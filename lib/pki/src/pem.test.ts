import test from 'ava';
import { PemError, readPem, readPemCertificates, writePem } from './pem.ts';

test('blocks of the label come back in order, with text and other labels between', (t) => {
  const [a, b] = [Uint8Array.from({ length: 100 }, (_, i) => i), Uint8Array.of(9)];
  const text = `# a comment\n${writePem('CERTIFICATE', a)}${writePem('X', b)}\r\n${writePem('CERTIFICATE', b)}`;
  t.deepEqual(
    readPemCertificates(text).map((d) => [...d]),
    [[...a], [...b]],
  );
  t.deepEqual(
    readPem(text, 'X').map((d) => [...d]),
    [[9]],
  );
  t.deepEqual(readPemCertificates('nothing'), []);
  t.true(text.split('\n').every((line) => line.length <= 64));
});

const broken: readonly (readonly [string, string])[] = [
  ['no end', '-----BEGIN CERTIFICATE-----\nAAAA\n'],
  ['the end of another label', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n'],
  ['not base64', '-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----\n'],
  ['base64 cut off', '-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n'],
  ['nothing inside', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
  [
    'one inside another',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
  ],
];
for (const [name, text] of broken) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => readPemCertificates(text), { instanceOf: PemError });
  });
}

test('a text above the limit is refused unread', (t) => {
  t.throws(() => readPem('x'.repeat(11), 'X', 10), { instanceOf: PemError, message: /larger than 10/ });
});
