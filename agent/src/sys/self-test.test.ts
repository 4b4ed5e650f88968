import test from 'ava';
import { selfTest } from './self-test.ts';
import { throwawayCertificate } from './throwaway-certificate.ts';
import { TlsContextHandle, type TlsMaterial, TlsMaterialError } from './tls-context.ts';

test('the native functions work here', (t) => {
  t.notThrows(() => selfTest(throwawayCertificate(Date.now())));
});

const own = throwawayCertificate(Date.now());
const other = throwawayCertificate(Date.now());
const good: TlsMaterial = {
  role: 'server',
  certificates: [own],
  anchorsPem: own.chainPem,
  requirePeerCertificate: true,
  minVersion: 'TLSv1_2',
  maxVersion: 'TLSv1_3',
  ciphers: '',
  groups: '',
  alpn: ['h2', 'http/1.1'],
};

test('good material makes a context', (t) => {
  new TlsContextHandle(good).free();
  t.pass();
});

for (const [what, material, message] of [
  ['a key of another certificate', { certificates: [{ ...own, keyPem: other.keyPem }] }, /key/],
  ['a chain that is no PEM', { certificates: [{ ...own, chainPem: 'junk' }] }, /certificate chain: no certificate/],
  ['an empty key', { certificates: [{ ...own, keyPem: '' }] }, /private key/],
  ['anchors that are no PEM', { anchorsPem: '' }, /trust anchors: no certificate/],
  ['unknown groups', { groups: 'nonsense' }, /groups "nonsense"/],
  ['unknown ciphers', { ciphers: 'nonsense' }, /ciphers "nonsense"/],
  ['an empty ALPN name', { alpn: [''] }, /ALPN/],
] as const) {
  test(`${what} is refused, without a word of the key`, (t) => {
    const error = t.throws(() => new TlsContextHandle({ ...good, ...material }), { instanceOf: TlsMaterialError });
    t.regex(error?.message ?? '', message);
    t.notRegex(error?.message ?? '', /BEGIN/);
  });
}
