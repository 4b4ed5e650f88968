/**
 * `chainmail-agent request-certificate`: a new key and a certificate of the pod's identity, printed as JSON for
 * `meshctl certs export`. It asks the CA as the agent does; the key the agent itself uses stays in the agent.
 */
import {
  type CsrSigner,
  createCsr,
  createKeyPair,
  formatSpiffeId,
  readPemCertificates,
  summarizeCertificate,
  workloadId,
} from '@chainmail/pki';
import { UserError } from '@chainmail/runtime';
import type { SidecarSettings } from '../bootstrap/sidecar-settings.ts';

export interface IssuedCertificate {
  readonly spiffeId: string;
  /** PKCS#8. A secret: printed only because whoever runs this holds the pod's token anyway. */
  readonly keyPem: string;
  readonly chainPem: string;
  readonly bundlePem: string;
  readonly notAfter: string;
}

/** @throws UserError IDENTITY_MISMATCH when the CA certifies another identity than the pod's */
export async function requestCertificate(settings: SidecarSettings, signer: CsrSigner): Promise<IssuedCertificate> {
  const { privateKey, keyPem } = await createKeyPair();
  const ttl = settings.certificateTtlSeconds === null ? {} : { ttlSeconds: settings.certificateTtlSeconds };
  const signed = await signer.sign({ csrPem: createCsr(privateKey), ...ttl });
  const [leaf] = readPemCertificates(signed.chainPem[0] ?? '');
  const expected = formatSpiffeId(workloadId(settings.trustDomain, settings.namespace, settings.serviceAccount));
  const found = leaf === undefined ? undefined : summarizeCertificate(leaf);
  if (found?.spiffeId !== expected) {
    throw new UserError(
      'IDENTITY_MISMATCH',
      `the CA certified ${found?.spiffeId ?? 'nothing'}, this pod is ${expected}`,
      {
        hint: "look at the token's service account and at SERVICE_ACCOUNT of the container",
      },
    );
  }
  return {
    spiffeId: expected,
    keyPem,
    chainPem: signed.chainPem.join('\n'),
    bundlePem: signed.trustAnchorsPem.join('\n'),
    notAfter: new Date(found.notAfterMs).toISOString(),
  };
}

/** Asks the CA that the environment names and prints the result. */
export async function runRequestCertificate(env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const { sidecarSettings } = await import('../bootstrap/sidecar-settings.ts');
  const [{ createCsrSigner }, { callCa }] = await Promise.all([import('@chainmail/xds/rpc'), import('./call-ca.ts')]);
  const settings = sidecarSettings(env);
  const { caAddress: address, trustDomain, trustBundlePath: path, tokenPath } = settings;
  const signer = createCsrSigner({ address, trustDomain, trustBundle: { path }, tokenPath }, callCa);
  process.stdout.write(`${JSON.stringify(await requestCertificate(settings, signer))}\n`);
  return 0;
}
