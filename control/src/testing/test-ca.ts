/** A CA inside the test's process: real certificates by the real code, for whichever workload is asked. */
import { type CsrSigner, WorkloadIdentity, workloadId } from '@chainmail/pki';
import { checkCsr, createRoot, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import type { Clock } from '@chainmail/runtime';

export const trustDomain = 'cluster.local';

export class TestCa {
  readonly #issuer: Issuer;

  constructor(issuer: Issuer) {
    this.#issuer = issuer;
  }

  static async create(): Promise<TestCa> {
    const root = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs: 3_600_000 });
    return new TestCa(await openIssuer(trustDomain, root));
  }

  signerFor(namespace: string, account: string): CsrSigner {
    return {
      sign: async ({ csrPem }) => {
        const csr = checkCsr(csrPem);
        if (!csr.ok) throw new Error(csr.reason);
        const svid = await issueSvid(this.#issuer, {
          id: workloadId(trustDomain, namespace, account),
          publicKey: csr.publicKey,
          dnsNames: [],
          nowMs: Date.now(),
          ttlMs: 600_000,
        });
        const root = this.#issuer.certificatePem;
        return { chainPem: [svid.certificatePem, root], trustAnchorsPem: [root], bundleSequence: 1 };
      },
    };
  }

  /** An identity that is ready to use. */
  async identity(namespace: string, account: string, clock?: Clock): Promise<WorkloadIdentity> {
    const signer = this.signerFor(namespace, account);
    const identity = new WorkloadIdentity({ signer, trustDomain, ...(clock === undefined ? {} : { clock }) });
    identity.start();
    await identity.ready();
    return identity;
  }
}
