import test from 'ava';
import { meshTls, TestCa } from '../worker/testing.ts';
import { TlsContexts } from './tls-contexts.ts';

const ca = new TestCa();
test.after.always(() => ca.remove());

test('a rotated certificate is used, a bad one leaves the old in use, an expired one ends it', (t) => {
  const problems: string[] = [];
  const contexts = new TlsContexts(
    () => Date.now(),
    (problem) => problems.push(problem),
  );
  const slot = contexts.slot('server', 'k', meshTls);
  t.throws(() => slot.get(), { message: /not there yet/ });
  contexts.setSecret(ca.trust);
  contexts.setSecret(ca.leaf('URI:spiffe://td/ns/a/sa/b'));
  const first = slot.get();
  t.is(first.localPrincipal, 'spiffe://td/ns/a/sa/b');
  contexts.setSecret({ name: 'default', kind: 'certificate', chainPem: 'junk', keyPem: 'junk' });
  t.is(slot.get(), first);
  contexts.setSecret({ name: 'default', kind: 'certificate', chainPem: '', keyPem: '' });
  t.throws(() => slot.get(), { message: 'the certificate has expired and there is no other yet' });
  contexts.setSecret(ca.leaf('URI:spiffe://td/ns/a/sa/b'));
  t.notThrows(() => slot.get());
  slot.free();
});
