import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type CsrSigner, parseSpiffeId } from '@chainmail/pki';
import { checkCsr, createRoot, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { sidecarSettings } from '../bootstrap/sidecar-settings.ts';
import { requestCertificate } from './request-certificate.ts';

const settings = sidecarSettings({
  POD_NAME: 'web-1',
  POD_NAMESPACE: 'shop',
  POD_IP: '10.0.0.1',
  SERVICE_ACCOUNT: 'web',
  CHAINMAIL_TRUST_DOMAIN: 'cluster.local',
  CHAINMAIL_CONTROL_ADDRESS: 'control:15012',
  CHAINMAIL_CA_ADDRESS: 'ca:15013',
});

async function signerFor(id: string): Promise<CsrSigner> {
  const root = await createRoot({ trustDomain: 'cluster.local', nowMs: Date.now(), lifetimeMs: 3_600_000 });
  const issuer = await openIssuer('cluster.local', root);
  return {
    async sign({ csrPem }) {
      const csr = checkCsr(csrPem);
      if (!csr.ok) throw new Error('bad CSR');
      const svid = await issueSvid(issuer, {
        id: parseSpiffeId(id),
        publicKey: csr.publicKey,
        nowMs: Date.now(),
        ttlMs: 60_000,
        dnsNames: [],
      });
      return {
        chainPem: [svid.certificatePem, root.certificatePem],
        trustAnchorsPem: [root.certificatePem],
        bundleSequence: 1,
      };
    },
  };
}

test('key and certificate belong together and carry the identity of the pod', async (t) => {
  const issued = await requestCertificate(settings, await signerFor('spiffe://cluster.local/ns/shop/sa/web'));
  const leaf = new X509Certificate(issued.chainPem);
  t.true(leaf.checkPrivateKey(createPrivateKey(issued.keyPem)));
  t.is(issued.spiffeId, 'spiffe://cluster.local/ns/shop/sa/web');
  t.is(issued.notAfter, new Date(leaf.validTo).toISOString());
});

test('another identity than the pod’s is refused', async (t) => {
  const signer = await signerFor('spiffe://cluster.local/ns/shop/sa/catalog');
  const error = await t.throwsAsync(requestCertificate(settings, signer), { instanceOf: UserError });
  t.is(error?.code, 'IDENTITY_MISMATCH');
});
