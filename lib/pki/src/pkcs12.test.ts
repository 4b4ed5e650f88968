import { createSecureContext } from 'node:tls';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { exportPkcs12 } from './pkcs12.ts';
import { makeWeb } from './test-material.ts';

test('a PKCS#12 file opens in OpenSSL with its password and with no other', async (t) => {
  const { chainPem, keyPem } = await makeWeb();
  const pfx = Buffer.from(exportPkcs12({ chainPem, keyPem, password: 'correct horse', friendlyName: 'shop/web' }));
  t.notThrows(() => createSecureContext({ pfx, passphrase: 'correct horse' }));
  t.throws(() => createSecureContext({ pfx, passphrase: 'wrong horse' }), { message: /mac verify failure/i });
  t.false(pfx.includes(Buffer.from(keyPem.split('\n')[1] ?? '?', 'base64').subarray(0, 32)));
});

test('a short password, a missing key and a missing certificate are refused', async (t) => {
  const { chainPem, keyPem } = await makeWeb();
  const base = { chainPem, keyPem, password: 'long enough', friendlyName: 'x' };
  const codeOf = (change: Partial<typeof base>): string | undefined =>
    t.throws(() => exportPkcs12({ ...base, ...change }), { instanceOf: UserError })?.code;
  t.is(codeOf({ password: 'short' }), 'PKCS12_PASSWORD');
  t.is(codeOf({ keyPem: '' }), 'PKCS12_NO_KEY');
  t.is(codeOf({ chainPem: '' }), 'PKCS12_NO_CERTIFICATE');
});
