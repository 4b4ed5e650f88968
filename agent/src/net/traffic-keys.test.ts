import test from 'ava';
import { expandLabel, TrafficKeys } from './traffic-keys.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** RFC 8448 section 3: secret, key and IV of application data. */
const traces = [
  [
    'a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32 82 04 b4 f4 4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43',
    '9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56',
    'cf 78 2b 88 dd 83 54 9a ad f1 e9 84',
  ],
  [
    '9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5',
    '17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51',
    '5b 78 92 3d ee 08 57 90 33 e5 23 d9',
  ],
] as const;

test('keys and IVs are those of the traces in RFC 8448', (t) => {
  for (const [secret, key, iv] of traces) {
    t.true(bytes(key).equals(expandLabel('SHA256', bytes(secret), 'key', 16)));
    t.true(bytes(iv).equals(expandLabel('SHA256', bytes(secret), 'iv', 12)));
  }
});

test('a suite that TLS 1.3 does not have is refused, by its name and without the secret', (t) => {
  const error = t.throws(() => new TrafficKeys('ECDHE-RSA-AES128-SHA', Buffer.from('secret'), 'open'));
  t.is(error.message, 'no keys for the cipher suite ECDHE-RSA-AES128-SHA');
});
